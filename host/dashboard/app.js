// Follows /timeline and shows the newest value of every topic and the latest entries.

const SOURCES = ["car", "road", "device", "crew", "driver"];
const KEPT_ENTRIES = 300; // of the log
const KEPT_POINTS = 60; // of a spark line
const SHOWN_TOPICS = 200; // of a card; the rest is still in the log

const byId = (id) => document.getElementById(id);
const cards = new Map(SOURCES.map((source) => [source, makeCard(source)]));
const pending = []; // entries that came since the last frame was drawn
let received = 0;

function makeCard(source) {
  const card = byId("card").content.firstElementChild.cloneNode(true);
  card.style.setProperty("--source", `var(--${source})`);
  card.querySelector("h2").textContent = source;
  byId("cards").append(card);
  return { list: card.querySelector("dl"), rows: new Map() };
}

function rowOf(card, topic) {
  let row = card.rows.get(topic);
  if (!row && card.rows.size < SHOWN_TOPICS) {
    const element = document.createElement("div");
    element.className = "row";
    element.innerHTML =
      '<dt></dt><dd><svg viewBox="0 0 72 18" preserveAspectRatio="none"><polyline/></svg></dd><dd class="value"></dd>';
    const name = element.querySelector("dt");
    name.textContent = name.title = topic;
    row = { topic, value: element.querySelector(".value"), spark: element.querySelector("polyline"), points: [] };
    card.rows.set(topic, row);
    const after = [...card.rows.values()].filter((other) => other.element && other.topic > topic);
    after.sort((a, b) => (a.topic < b.topic ? -1 : 1));
    card.list.insertBefore(element, after[0]?.element ?? null);
    row.element = element;
  }
  return row;
}

/** The entry's value in words: [text, unit]. */
function words(value) {
  if (value !== null && typeof value === "object") {
    if (typeof value.value === "number" && typeof value.unit === "string") {
      return [number(value.value), value.unit];
    }
    return [JSON.stringify(value), ""];
  }
  return [typeof value === "number" ? number(value) : String(value), ""];
}

function number(value) {
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 10 ? 2 : 1);
}

function show(entry) {
  const card = cards.get(entry.source);
  const row = card && rowOf(card, entry.topic);
  if (!row) return;
  const [text, unit] = words(entry.value);
  row.value.textContent = row.value.title = text;
  if (unit) {
    const small = document.createElement("small");
    small.textContent = unit;
    row.value.append(small);
  }
  const point = typeof entry.value?.value === "number" ? entry.value.value : null;
  if (point !== null) {
    row.points.push(point);
    if (row.points.length > KEPT_POINTS) row.points.shift();
    drawSpark(row);
  }
}

function drawSpark({ spark, points }) {
  const low = Math.min(...points);
  const span = Math.max(...points) - low || 1;
  const step = 72 / (KEPT_POINTS - 1);
  spark.setAttribute("points", points.map((y, x) => `${(x * step).toFixed(1)},${(17 - ((y - low) / span) * 16).toFixed(1)}`).join(" "));
}

function log(entry) {
  const line = document.createElement("li");
  line.style.setProperty("--source", `var(--${entry.source})`);
  const [text, unit] = words(entry.value);
  const time = document.createElement("time");
  time.textContent = new Date(entry.time).toLocaleTimeString([], { hour12: false, fractionalSecondDigits: 3 });
  for (const [tag, content] of [["b", entry.source], ["span", entry.topic], ["span", `${text} ${unit}`.trim()]]) {
    const part = document.createElement(tag);
    part.textContent = part.title = content;
    line.append(part);
  }
  line.prepend(time);
  line.hidden = !matches(line);
  return line;
}

const matches = (line) => line.textContent.toLowerCase().includes(byId("filter").value.toLowerCase());

function draw() {
  const entries = pending.splice(0);
  const newest = new Map(entries.map((entry) => [`${entry.source} ${entry.topic}`, entry]));
  newest.forEach(show);
  if (!byId("hold").checked) {
    const list = byId("timeline");
    list.prepend(...entries.slice(-KEPT_ENTRIES).reverse().map(log));
    while (list.children.length > KEPT_ENTRIES) list.lastElementChild.remove();
  }
}

function follow() {
  const link = byId("link");
  const stream = new EventSource(`timeline${location.search}`);
  stream.onopen = () => { link.className = "live"; link.textContent = "live"; };
  stream.onerror = () => {
    link.className = "lost";
    link.textContent = stream.readyState === EventSource.CLOSED
      ? "the server refused: it may want its key (/?key=KEY)"
      : "lost the server, trying again…";
  };
  stream.onmessage = ({ data }) => {
    received += 1;
    pending.push(JSON.parse(data));
    if (pending.length > 10_000) pending.shift(); // the tab is in the background
  };
  stream.addEventListener("missed", ({ data }) => {
    const line = document.createElement("li");
    line.innerHTML = '<span class="note"></span>';
    line.firstChild.textContent = `${data} entries were missed: this page is too slow`;
    byId("timeline").prepend(line);
  });
}

byId("filter").addEventListener("input", () => {
  for (const line of byId("timeline").children) line.hidden = !matches(line);
});
setInterval(() => { byId("rate").textContent = `${received} / s`; received = 0; }, 1000);
setInterval(draw, 100);
follow();
