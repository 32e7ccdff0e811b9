// Elements from data, and values in words. Text is always text: nothing here, or anywhere on this page, makes markup
// of what came from the server.

export const byId = (id) => document.getElementById(id);

/** An HTML element with attributes (undefined ones are left out) and children. */
export const make = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** The same in SVG. */
export const draw = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Sets a text, and leaves it alone if it is the same. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute, and leaves it alone if it is the same. */
export function set(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** A number for people. */
export function number(value) {
  if (Number.isInteger(value)) return String(value);
  return value.toFixed(Math.abs(value) < 10 ? 2 : 1);
}

/** A value of the timeline: its text and its unit. */
export function words(value) {
  if (typeof value === "number") return [number(value), ""];
  if (typeof value === "boolean") return [value ? "yes" : "no", ""];
  if (isQuantity(value)) return [number(value.value), value.unit];
  return [typeof value === "string" ? value : brief(value), ""];
}

const KNOWN = new Set(["id", "serviced", "updated", "state"]); // said by the topic and the time

/** An object in one line: its simple fields, and those of the objects in it. */
function brief(value) {
  if (Array.isArray(value)) return value.map((it) => (it && typeof it === "object" ? brief(it) : String(it))).join(", ");
  if (typeof value === "number") return String(Number(value.toPrecision(8)));
  if (!value || typeof value !== "object") return String(value);
  const fields = Object.entries(value).map(([name, field]) => {
    if (KNOWN.has(name) || (Array.isArray(field) && typeof field[0] === "object")) return "";
    const isObject = field && typeof field === "object" && !Array.isArray(field);
    return isObject ? brief(field) : `${name} ${brief(field)}`;
  });
  return [value.state && brief(value.state), ...fields].filter(Boolean).join(" · ");
}

/** A moment on the clock, to the millisecond if wanted. */
export function clock(time, digits) {
  const parts = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", fractionalSecondDigits: digits };
  return new Date(time).toLocaleTimeString([], parts);
}

export const isQuantity = (value) => typeof value?.value === "number" && typeof value.unit === "string";

/** Milliseconds for people. */
export function duration(ms) {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(1)} s`;
}

const SPARK = { points: 60, width: 120, height: 24 };

/** The last values of something, as a line. */
export class Spark {
  #points = [];
  #line = draw("polyline");

  constructor() {
    const box = `0 0 ${SPARK.width} ${SPARK.height}`;
    this.element = draw("svg", { class: "spark", viewBox: box, preserveAspectRatio: "none", "aria-hidden": "true" }, this.#line);
  }

  add(value) {
    this.#points.push(value);
    if (this.#points.length > SPARK.points) this.#points.shift();
    const [low, high] = [Math.min(...this.#points), Math.max(...this.#points)];
    // What hardly changes is a line that hardly moves.
    const span = Math.max(high - low, Math.abs(high) / 50, 1e-9);
    const missing = SPARK.points - this.#points.length;
    const x = (at) => (((missing + at) / (SPARK.points - 1)) * SPARK.width).toFixed(1);
    const y = (value) => (SPARK.height - 1 - ((value - low) / span) * (SPARK.height - 2)).toFixed(1);
    set(this.#line, "points", this.#points.map((value, at) => `${x(at)},${y(value)}`).join(" "));
  }
}
