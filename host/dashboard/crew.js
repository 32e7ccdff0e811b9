// The hub: who is in which room, and what was said last.

import { byId, make, say } from "./dom.js";

const MAX_ROOMS = 16;
const MAX_COUNTED = 10_000;
const MAX_SHOUTS = 20;
const MAX_NAMES = 12;

export function crew() {
  let rooms;

  function reset() {
    rooms = new Map();
    for (const id of ["crew-rooms", "crew-shouts"]) byId(id).replaceChildren();
    summary();
  }

  function summary() {
    const people = [...rooms.values()].reduce((sum, room) => sum + room.count, 0);
    say(byId("crew-summary"), rooms.size ? `${people} present in ${rooms.size} ${rooms.size === 1 ? "room" : "rooms"}` : "nobody is in a room");
  }

  function members(name, { count, names }) {
    let room = rooms.get(name);
    if (!count) {
      room?.element.remove();
      rooms.delete(name);
      return;
    }
    if (!room) {
      if (rooms.size >= MAX_COUNTED) return;
      room = {};
      rooms.set(name, room);
    }
    room.count = count;
    if (!room.element) {
      if (byId("crew-rooms").children.length >= MAX_ROOMS) return;
      room.list = make("ul", { class: "chips" });
      room.element = make("div", {}, make("dt", {}, name), make("dd", {}, room.list));
      byId("crew-rooms").append(room.element);
    }
    const shown = names.slice(0, MAX_NAMES).map((name) => make("li", {}, name));
    if (count > shown.length) shown.push(make("li", { class: "quiet" }, `and ${count - shown.length} more`));
    room.list.replaceChildren(...shown);
  }

  function shout(room, value) {
    const [name, body] = [value?.name, value?.body].map((it) => (typeof it === "string" ? it : ""));
    const line = make("li", {}, make("small", {}, room), " ", make("b", {}, name), " ", name || body ? body : JSON.stringify(value));
    const list = byId("crew-shouts");
    list.prepend(line);
    while (list.children.length > MAX_SHOUTS) list.lastElementChild.remove();
  }

  function take({ topic, value }) {
    const end = topic.lastIndexOf("/");
    const [room, what] = [topic.slice(0, end).replace(/^room:/, ""), topic.slice(end + 1)];
    if (what === "members") members(room, value);
    else if (what === "shout") shout(room, value);
    summary();
  }

  reset();
  return { reset, take };
}
