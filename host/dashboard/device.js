// The relay: which monitors are there, and what became of the latest commands, with how long it took.

import { byId, duration, make, say } from "./dom.js";

const MAX_COMMANDS = 12;
const MAX_MONITORS = 24;
const MAX_COUNTED = 10_000;
const COUNTED = 200; // commands behind the median

export function device() {
  let connected, monitors, took; // all that are connected; those that are shown

  function reset() {
    [connected, monitors, took] = [new Set(), new Map(), []];
    byId("device-hint").hidden = false;
    for (const id of ["device-monitors", "device-commands"]) byId(id).replaceChildren();
    summary();
  }

  function summary() {
    const middle = [...took].sort((a, b) => a - b)[took.length >> 1];
    const parts = [`${connected.size} ${connected.size === 1 ? "monitor" : "monitors"}`];
    if (middle !== undefined) parts.push(`median ${duration(middle)} of the last ${took.length}`);
    say(byId("device-summary"), parts.join(" · "));
  }

  function monitor({ monitor_id: id, connected: is }) {
    if (!is) {
      connected.delete(id);
      monitors.get(id)?.remove();
      monitors.delete(id);
    } else if (connected.size < MAX_COUNTED) {
      connected.add(id);
    }
    // Whoever goes makes room for another.
    for (const id of connected) {
      if (monitors.size >= MAX_MONITORS) break;
      if (monitors.has(id)) continue;
      const chip = make("li", { class: "good", title: `${id} is connected` }, short(id));
      monitors.set(id, chip);
      byId("device-monitors").append(chip);
    }
  }

  function command({ monitor_id: id, command: text, outcome, reason, times }) {
    const done = outcome === "done";
    const relay = times.dispatched === undefined ? undefined : times.dispatched - times.accepted;
    const work = times.dispatched === undefined ? undefined : times.finished - times.dispatched;
    const all = times.finished - times.accepted;
    if (done) {
      took.push(all);
      if (took.length > COUNTED) took.shift();
    }
    const way = work === undefined ? "" : `${duration(relay)} in the relay, ${duration(work)} at the monitor`;
    const row = make(
      "tr",
      {},
      make("td", { class: "text", title: `${text} → ${id}` }, text, make("small", {}, short(id))),
      make("td", { class: `text ${done ? "good" : "bad"}`, title: reason }, done ? "done" : reason),
      make("td", { class: "number", title: way }, work === undefined ? "–" : duration(all)),
    );
    const list = byId("device-commands");
    list.prepend(row);
    while (list.children.length > MAX_COMMANDS) list.lastElementChild.remove();
    byId("device-hint").hidden = true;
  }

  function take({ topic, value }) {
    if (topic.startsWith("monitor/")) monitor(value);
    else if (topic.startsWith("command/")) command(value);
    summary();
  }

  reset();
  return { reset, take };
}

const short = (id) => (id.length > 10 ? `${[...id].slice(0, 8).join("")}…` : id);
