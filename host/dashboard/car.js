// The car: how far the link reaches, gauges, every other value that is asked for, trouble codes.

import { Dial } from "./dial.js";
import { byId, isQuantity, make, say, Spark, words } from "./dom.js";

const MAX_VALUES = 24; // further values are in the timeline
const OLD = 15_000; // milliseconds after its arrival at which a value counts as old

const DIALS = {
  RPM: { label: "Engine speed", max: 8000, step: 1000, scale: 1000, red: 6500 },
  SPEED: { label: "Speed", max: 220, step: 20 },
};

const NAMES = {
  COOLANT_TEMP: "Coolant",
  INTAKE_TEMP: "Intake air",
  THROTTLE_POS: "Throttle",
  ENGINE_LOAD: "Load",
  FUEL_LEVEL: "Fuel",
  ELM_VOLTAGE: "Voltage",
};

const LINKS = { "Car Connected": "good", "OBD Connected": "fair", "ELM Connected": "fair", "Not Connected": "bad" };

export function car() {
  let dials, values;

  function reset() {
    dials = Object.fromEntries(Object.entries(DIALS).map(([topic, dial]) => [topic, new Dial(dial)]));
    values = new Map();
    byId("car-dials").replaceChildren(...Object.values(dials).map((dial) => dial.element));
    byId("car-values").replaceChildren();
    byId("car-codes").replaceChildren(make("li", { class: "quiet" }, "not read yet"));
    state("", "no word from the car yet");
    say(byId("car-adapter"), "");
  }

  function state(kind, text) {
    byId("car-link").className = `state ${kind}`;
    say(byId("car-link"), text);
  }

  function adapter({ port, banner, protocol, trouble }) {
    const parts = [banner, port && `on ${port}`, protocol && `· ${protocol}`, trouble && `· ${trouble}`];
    say(byId("car-adapter"), parts.filter(Boolean).join(" "));
  }

  function codes(list) {
    const chips = list.map(([code, meaning]) => make("li", { class: "bad" }, make("b", {}, code), ` ${meaning ?? ""}`));
    byId("car-codes").replaceChildren(...(chips.length ? chips : [make("li", { class: "good" }, "none stored")]));
  }

  function tile(topic) {
    let tile = values.get(topic);
    if (!tile && values.size < MAX_VALUES) {
      const name = make("dt", { title: topic }, NAMES[topic] ?? topic);
      tile = { value: make("dd"), spark: new Spark() };
      tile.element = make("div", { class: "tile" }, name, tile.value, tile.spark.element);
      values.set(topic, tile);
      byId("car-values").append(tile.element);
    }
    return tile;
  }

  function take({ topic, value }) {
    if (topic === "link") return state(LINKS[value] ?? "", String(value));
    if (topic === "adapter") return adapter(value);
    if (topic === "alert") return state("bad", `the adapter reports ${value}`);
    if (topic === "GET_DTC" && Array.isArray(value)) return codes(value.map(pair));
    const dial = isQuantity(value) ? dials[topic] : undefined;
    const shown = dial ?? tile(topic);
    if (!shown) return;
    shown.at = performance.now();
    if (dial) return dial.show(value);
    const [text, unit] = words(value);
    shown.value.replaceChildren(text, make("small", {}, unit));
    shown.value.title = text;
    if (isQuantity(value)) shown.spark.add(value.value);
  }

  reset();
  return {
    reset,
    take,
    tick: (now) => {
      for (const { element, at } of [...Object.values(dials), ...values.values()]) {
        element.classList.toggle("old", now - at > OLD);
      }
    },
  };
}

/** A trouble code and what it means, whichever way it is written. */
const pair = (code) => (Array.isArray(code) ? code : typeof code === "object" && code ? [code.code, code.description] : [code]);
