// The driver's vital signs, as the DFX endpoint finds them.

import { byId, clock, isQuantity, make, say, Spark, words } from "./dom.js";

const MAX_VALUES = 12;
const NAMES = { signal_to_noise: "Signal to noise", analysis: "Analysis" };

export function driver() {
  let heart, values;

  function reset() {
    heart = { value: make("span", { class: "figure" }, "–"), unit: make("small"), spark: new Spark() };
    values = new Map();
    byId("driver-heart").replaceChildren(make("p", {}, heart.value, " ", heart.unit), heart.spark.element);
    byId("driver-values").replaceChildren();
    say(byId("driver-summary"), "no measurement yet");
    byId("driver-hint").hidden = false;
  }

  function take({ topic, value, time }) {
    say(byId("driver-summary"), `last result ${clock(time)}`);
    byId("driver-hint").hidden = true;
    if (topic === "heart_rate" && isQuantity(value)) {
      say(heart.value, String(Math.round(value.value)));
      say(heart.unit, `${value.unit} heart rate`);
      heart.spark.add(value.value);
      return;
    }
    let shown = values.get(topic);
    if (!shown) {
      if (values.size >= MAX_VALUES) return;
      shown = make("dd");
      values.set(topic, shown);
      byId("driver-values").append(make("div", { class: "tile" }, make("dt", { title: topic }, NAMES[topic] ?? topic), shown));
    }
    const [text, unit] = words(value);
    shown.replaceChildren(text, make("small", {}, unit));
    shown.title = text;
  }

  reset();
  return { reset, take };
}
