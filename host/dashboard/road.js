// The road: a plan with every intersection's lights, the same as a table, and what else opens, closes and moves.

import { byId, draw, make, say, set } from "./dom.js";

const WIDTH = 420; // of the plan, in its own units
const MARGIN = 34;
const MAX_MOVERS = 64;

/** The through phases, and where their lamps stand around an intersection. */
const LAMPS = { 2: [0, -12], 4: [12, 0], 6: [0, 12], 8: [-12, 0] };
const LETTERS = { GREEN: "G", YELLOW: "Y", RED: "R" };

const GLYPHS = {
  crosswalk: "M-7.5-6v12M-2.5-6v12M2.5-6v12M7.5-6v12",
  railcrossing: "M-7-7L7 7M7-7L-7 7",
  gate: "M-9 5h18M-8 5v-9M8 5v-9",
  garage: "M-7 6v-9l7-5l7 5v9z",
};

export function road() {
  let nodes, others, movers, project;

  function reset() {
    [nodes, others, movers, project] = [new Map(), new Map(), new Map(), undefined];
    for (const id of ["road-plan", "road-intersections", "road-others"]) byId(id).replaceChildren();
    say(byId("road-summary"), "");
  }

  function plan(kinds) {
    const places = Object.values(kinds).flat();
    if (!places.length) return;
    project = projection(places);
    const sorted = [...(kinds.intersection ?? [])].sort((a, b) => a.id - b.id);
    byId("road-plan").append(...streets(sorted, project));
    for (const [kind, list] of Object.entries(kinds)) {
      if (kind !== "intersection") list.filter((it) => it.intersection === undefined).forEach((it) => addOther(kind, it));
    }
    sorted.forEach(addNode);
    say(byId("road-summary"), `${sorted.length} intersections`);
  }

  function addNode(site) {
    const lamps = {};
    const [x, y] = project(site);
    const node = draw("g", { class: "node", transform: `translate(${x} ${y})` }, draw("title", {}, `${site.id}: ${site.name}`), draw("circle", { r: 8 }), draw("text", {}, String(site.id)));
    for (const [phase, [cx, cy]] of Object.entries(LAMPS)) {
      lamps[phase] = draw("circle", { class: "lamp", cx, cy, r: 4 });
      node.append(lamps[phase]);
    }
    byId("road-plan").append(node);
    const cells = [make("td"), make("td")];
    const row = make("tr", {}, make("th", { scope: "row" }, `${site.id} ${site.name}`), ...cells);
    const show = (on) => () => node.classList.toggle("chosen", on);
    row.addEventListener("pointerenter", show(true));
    row.addEventListener("pointerleave", show(false));
    byId("road-intersections").append(row);
    nodes.set(String(site.id), { node, lamps, row, cells });
  }

  function addOther(kind, site) {
    const [x, y] = project(site);
    const mark = draw("g", { class: `mark ${kind}`, transform: `translate(${x} ${y})` }, draw("title", {}, site.name), draw("path", { d: GLYPHS[kind] }));
    byId("road-plan").append(mark);
    const state = make("b", {}, "–");
    const chip = make("li", {}, `${site.name} `, state);
    byId("road-others").append(chip);
    others.set(`${kind}/${site.id}`, { mark, chip, state });
  }

  function intersection(id, state, stale) {
    const known = nodes.get(id);
    if (!known) return;
    const phases = Object.values(state.phases ?? []);
    const byNumber = new Map(phases.map((it) => [it.phase, it]));
    for (const [phase, lamp] of Object.entries(known.lamps)) {
      set(lamp, "class", `lamp ${(stale ? "" : byNumber.get(Number(phase))?.color ?? "none").toLowerCase()}`);
    }
    [[2, 6], [4, 8]].forEach((pair, at) => light(known.cells[at], pair.map((phase) => byNumber.get(phase)).filter(Boolean), state, stale));
    known.row.classList.toggle("old", Boolean(stale));
  }

  function other(topic, state) {
    const known = others.get(topic);
    if (!known) return;
    const [text, kind] = condition(topic.split("/")[0], state);
    say(known.state, text);
    known.chip.className = kind;
    set(known.mark, "class", `mark ${topic.split("/")[0]} ${kind}`);
  }

  function mover(id, state) {
    const { latitude, longitude } = state.dynamics ?? {};
    if (!project || typeof latitude !== "number" || typeof longitude !== "number") return;
    let known = movers.get(id);
    if (!known && movers.size < MAX_MOVERS) {
      known = draw("g", { class: "mover" }, draw("title", {}, `${id} (${state.v2xCommunication?.type ?? "beacon"})`), draw("circle", { r: 4.5 }), draw("text", { x: 8, y: 1 }, id));
      byId("road-plan").append(known);
      movers.set(id, known);
    }
    if (known) set(known, "transform", `translate(${project({ latitude, longitude })})`);
  }

  function take({ topic, value }) {
    const [kind, id] = topic.split("/");
    const state = value?.state;
    if (!state || typeof state !== "object") return;
    if (kind === "intersection") intersection(id, state, value.stale);
    else if (kind === "beacon") mover(id, state);
    else other(topic, state);
  }

  reset();
  return { reset, plan, take };
}

/** From degrees to the plan: east to the right, north up, and one scale for both. */
function projection(places) {
  const bounds = (of) => [Math.min(...places.map(of)), Math.max(...places.map(of))];
  const [south, north] = bounds((it) => it.latitude);
  const [west, east] = bounds((it) => it.longitude);
  const squeeze = Math.cos((south * Math.PI) / 180);
  const wide = Math.max((east - west) * squeeze, 1e-6);
  const scale = (WIDTH - 2 * MARGIN) / wide;
  const height = Math.min(Math.max((north - south) * scale + 2 * MARGIN, 160), 520);
  const tall = north - south ? (height - 2 * MARGIN) / (north - south) : 0;
  byId("road-plan").setAttribute("viewBox", `0 0 ${WIDTH} ${height.toFixed(0)}`);
  return ({ latitude, longitude }) => [
    (MARGIN + (longitude - west) * squeeze * scale).toFixed(1),
    (height - MARGIN - (latitude - south) * tall).toFixed(1),
  ];
}

/** Lines along the streets that intersections share. */
function streets(sites, project) {
  const streets = new Map();
  for (const site of sites) {
    for (const name of [site.streetMain, site.streetCross]) {
      if (name) streets.set(name, [...(streets.get(name) ?? []), site]);
    }
  }
  return [...streets].filter(([, along]) => along.length > 1).map(([name, along]) => {
    const spread = (of) => Math.max(...along.map(of)) - Math.min(...along.map(of));
    const key = spread((it) => it.longitude) > spread((it) => it.latitude) ? "longitude" : "latitude";
    const points = along.sort((a, b) => a[key] - b[key]).map((site) => project(site).join(","));
    return draw("polyline", { class: "street", points: points.join(" ") }, draw("title", {}, name));
  });
}

/** The light of a street at an intersection, in colour, letter and seconds. */
function light(cell, phases, state, stale) {
  const colors = phases.map((it) => it.color);
  const color = ["GREEN", "YELLOW", "RED"].find((it) => colors.includes(it));
  if (!color) return say(cell, "–");
  const phase = phases.find((it) => it.color === color);
  const note = stale ? "silent" : state.flash ? "flash" : seconds(phase);
  cell.replaceChildren(make("span", { class: `light ${stale ? "" : color.toLowerCase()}`, title: color.toLowerCase() }, LETTERS[color]), ` ${note}`);
}

/** How long a light stays: at least, and at most. */
function seconds({ vehTimeMin: least, vehTimeMax: most }) {
  const [from, to] = [Math.round(least), Math.round(most)];
  return Number.isFinite(from) ? (from < to && to < 1000 ? `${from}–${to} s` : `${from} s`) : "";
}

/** What a thing of the road does, and whether traffic should mind. */
function condition(kind, state) {
  if (kind === "gate" || kind === "garage") {
    if (state.activated) return ["moving", "fair"];
    return state.open ? ["open", "good"] : ["closed", ""];
  }
  if (kind === "railcrossing") return [state.phase ?? "unknown", state.activated ? "bad" : "good"];
  if (state.walk) return ["walk", "good"];
  if (state.pedestrianClear) return [state.countdownTime === null ? "clear" : `clear, ${state.countdownTime} s`, "fair"];
  return ["don't walk", ""];
}
