// A round gauge.

import { draw, make, number, say, set } from "./dom.js";

const [FROM, SWEEP, RADIUS] = [-210, 240, 44]; // degrees clockwise from the right, and units of the view box

const point = (fraction, radius) => {
  const angle = ((FROM + fraction * SWEEP) * Math.PI) / 180;
  return [50 + radius * Math.cos(angle), 50 + radius * Math.sin(angle)].map((x) => x.toFixed(2));
};

function arc(from, to) {
  const large = (to - from) * SWEEP > 180 ? 1 : 0;
  return `M${point(from, RADIUS)} A${RADIUS} ${RADIUS} 0 ${large} 1 ${point(to, RADIUS)}`;
}

export class Dial {
  #max;
  #arc = draw("path", { class: "reach", d: arc(0, 1), pathLength: 100, "stroke-dasharray": "0 100" });
  #value = draw("text", { class: "reading", x: 50, y: 56 }, "–");
  #unit = draw("text", { class: "unit", x: 50, y: 69 });

  /** `scale` is what a tick counts in; from `red` on it is too much. */
  constructor({ label, max, step, scale = 1, red }) {
    this.#max = max;
    const ticks = [];
    for (let at = 0; at <= max; at += step) {
      const [outer, inner, text] = [RADIUS + 3, RADIUS - 5, RADIUS - 12].map((radius) => point(at / max, radius));
      ticks.push(draw("line", { x1: outer[0], y1: outer[1], x2: inner[0], y2: inner[1] }));
      ticks.push(draw("text", { class: "tick", x: text[0], y: text[1] }, String(at / scale)));
    }
    const zone = red === undefined ? [] : [draw("path", { class: "red", d: arc(red / max, 1) })];
    const face = draw(
      "svg",
      { viewBox: "0 0 100 84", "aria-hidden": "true" },
      draw("path", { class: "rim", d: arc(0, 1) }), ...zone, this.#arc, ...ticks, this.#value, this.#unit,
    );
    const meter = { class: "dial", role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": max, "aria-valuenow": 0, "aria-valuetext": "unknown" };
    this.element = make("figure", meter, face, make("figcaption", {}, label));
  }

  show({ value, unit }) {
    const reach = Math.min(Math.max(value / this.#max, 0), 1) * 100;
    set(this.#arc, "stroke-dasharray", `${reach.toFixed(1)} 100`);
    say(this.#value, String(Math.round(value)));
    say(this.#unit, unit);
    set(this.element, "aria-valuenow", Math.min(Math.max(value, 0), this.#max));
    set(this.element, "aria-valuetext", `${number(value)} ${unit}`);
  }
}
