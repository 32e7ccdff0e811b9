// Follows /timeline and hands every entry to the panel of its source, and to the log.

import { byId, say } from "./dom.js";
import { car } from "./car.js";
import { crew } from "./crew.js";
import { device } from "./device.js";
import { driver } from "./driver.js";
import { road } from "./road.js";
import { timeline } from "./timeline.js";

const DRAW_EVERY = 100; // milliseconds
const RETRY = 3000; // after the server refused
const MAX_WAITING = 10_000; // entries that came while the tab could not draw; the oldest go first

const panels = { car: car(), road: road(), device: device(), crew: crew(), driver: driver() };
const log = timeline(Object.keys(panels));
const waiting = [];
let received = 0;
let dropped = 0;

function take(entry, isNew) {
  if (isNew) log.take(entry);
  try {
    panels[entry.source]?.take(entry);
  } catch (error) {
    // Of another shape than its panel knows; it is in the log, and the others go on.
    console.warn("cannot show", entry, error);
  }
}

function draw() {
  if (dropped) log.missed(dropped);
  dropped = 0;
  for (const [entry, isNew] of waiting.splice(0)) take(entry, isNew);
  const now = performance.now();
  for (const panel of Object.values(panels)) panel.tick?.(now);
  log.draw();
}

function wait(entry, isNew) {
  waiting.push([entry, isNew]);
  if (waiting.length > MAX_WAITING) dropped += waiting.splice(0, 1).length;
}

function follow() {
  // The address may hold the key.
  const stream = new EventSource(`timeline${location.search}`);
  stream.addEventListener("plan", ({ data }) => {
    // A new beginning: what was shown may be of another run of the server.
    waiting.length = 0;
    for (const panel of Object.values(panels)) panel.reset();
    panels.road.plan(JSON.parse(data));
    link("live", "live");
  });
  stream.addEventListener("present", ({ data }) => wait(JSON.parse(data), false));
  stream.onmessage = ({ data }) => {
    received += 1;
    wait(JSON.parse(data), true);
  };
  stream.addEventListener("missed", ({ data }) => log.missed(Number(data)));
  stream.onerror = () => {
    if (stream.readyState !== EventSource.CLOSED) {
      link("lost", "lost the server, trying again…");
      return;
    }
    link("lost", "the server refuses: it may want its key (/?key=KEY); trying again…");
    setTimeout(follow, RETRY);
  };
}

/** Says how the page stands to its server. What is shown is dimmed while it may be old. */
function link(state, words) {
  byId("link").className = state;
  say(byId("link"), words);
  byId("panels").classList.toggle("old", state === "lost");
}

setInterval(() => {
  say(byId("rate"), `${received} / s`);
  received = 0;
}, 1000);
setInterval(draw, DRAW_EVERY);
follow();
