// The log: everything as it happens, by source and by what it contains; it can be held still.

import { byId, clock, make, say, words } from "./dom.js";

const KEPT = 300;
const SHOWN = 240; // characters of a value

export function timeline(sources) {
  const list = byId("timeline");
  const filter = byId("timeline-filter");
  const pause = byId("timeline-pause");
  const chosen = new Set(sources);
  const kept = []; // newest first
  let fresh = []; // came since the last drawing
  let held = 0; // came while paused

  for (const source of sources) {
    const box = make("input", { type: "checkbox", checked: "" });
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(source);
      else chosen.delete(source);
      redraw();
    });
    byId("timeline-sources").append(make("label", { class: source }, box, ` ${source}`));
  }
  filter.addEventListener("input", redraw);
  byId("timeline-bar").addEventListener("submit", (event) => event.preventDefault());
  pause.addEventListener("click", () => {
    const on = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", on);
    say(pause, on ? "Go on" : "Pause");
    if (!on) held = 0;
    say(byId("timeline-note"), on ? "held still" : "");
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
    if (event.key === "/") filter.focus();
    else if (event.key === "p" || event.key === "P") pause.click();
    else return;
    event.preventDefault();
  });

  const paused = () => pause.getAttribute("aria-pressed") === "true";
  const matches = ({ source, text, note }) =>
    note || (chosen.has(source) && text.toLowerCase().includes(filter.value.toLowerCase()));

  function keep(line) {
    fresh.push(line);
    if (fresh.length > KEPT) fresh.shift();
    if (paused()) held += 1;
  }

  function draw() {
    if (paused()) {
      if (held) say(byId("timeline-note"), `held still, ${held} more`);
      return;
    }
    if (!fresh.length) return;
    const lines = fresh.reverse();
    fresh = [];
    kept.unshift(...lines);
    kept.length = Math.min(kept.length, KEPT);
    list.prepend(...lines.filter(matches).map(row));
    while (list.children.length > KEPT) list.lastElementChild.remove();
  }

  function redraw() {
    list.replaceChildren(...kept.filter(matches).map(row));
  }

  return {
    draw,
    take({ time, source, topic, value }) {
      const [written, unit] = words(value);
      const text = `${written} ${unit}`.trim().slice(0, SHOWN);
      keep({ time, source, topic, value: text, text: `${topic} ${text}` });
    },
    missed(count) {
      const text = `${count} entries were missed: this page is too slow`;
      keep({ time: new Date().toISOString(), topic: "", value: text, note: true });
    },
  };
}

function row({ time, source, topic, value, note }) {
  return make(
    "li",
    { class: note ? "note" : source },
    make("time", { datetime: time }, clock(time, 3)),
    make("b", {}, note ? "" : source),
    make("span", { title: topic }, topic),
    make("span", { title: value }, value),
  );
}
