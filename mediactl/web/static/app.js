// Live updates, the chart, the comparison and the count of a list. Pages are complete without it.
"use strict";

const SLOWEST = 10_000; // ms after which ages are read again though nothing has changed
const FASTEST = 2_000; // ms between two updates at least

const body = document.body;
const button = document.getElementById("updates");
let last = Date.now();
let waiting = null;

function isLive() {
  return button !== null && button.getAttribute("aria-pressed") === "true" && !document.hidden;
}

function update() {
  waiting = null;
  if (!isLive()) return;
  last = Date.now();
  body.dispatchEvent(new CustomEvent("journal-changed"));
}

function updateSoon() {
  if (waiting === null) waiting = setTimeout(update, Math.max(0, FASTEST - (Date.now() - last)));
}

function follow() {
  const connection = document.getElementById("connection");
  const events = new EventSource(body.dataset.live);
  let isFirst = true; // the page is as new as the connection
  events.addEventListener("changed", () => {
    connection.textContent = "";
    if (!isFirst) updateSoon();
    isFirst = false;
  });
  events.addEventListener("error", () => { connection.textContent = "Not connected: mediactl web has ended, or is restarting."; });
  setInterval(() => { if (Date.now() - last >= SLOWEST) update(); }, 1_000);
  document.addEventListener("visibilitychange", updateSoon);
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(!isLive()));
    updateSoon();
  });
}

async function json(address) {
  const response = await fetch(address);
  return response.ok ? response.json() : null;
}

async function fillCount() {
  const place = document.getElementById("count");
  const found = place && await json(place.dataset.count);
  if (found) place.textContent = `${found.more ? "more than " : ""}${found.number.toLocaleString("en")}`;
}

function compare(figure) {
  const range = figure.querySelector("input");
  const show = () => figure.style.setProperty("--at", `${range.value}%`);
  range.addEventListener("input", show);
  show();
  for (const image of figure.querySelectorAll("img")) {
    const hide = () => { figure.hidden = true; };
    if (image.complete && image.naturalWidth === 0) hide();
    image.addEventListener("error", hide);
  }
}

const orNone = (value) => value || null; // no line where nothing has ended

function clock(seconds) {
  const time = new Date(seconds * 1000);
  const isMidnight = time.getHours() + time.getMinutes() === 0;
  return isMidnight ? time.toLocaleDateString("en-CA") : time.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

class Chart {
  constructor(place) {
    this.place = place;
    this.plot = null;
    this.drawn = 0;
  }

  span() {
    return document.querySelector("input[name=span]:checked").value;
  }

  async draw() {
    this.drawn = Date.now();
    const span = this.span();
    const found = await json(`${this.place.dataset.url}?span=${span}`);
    if (!found || span !== this.span()) return;
    const total = (values) => values.reduce((sum, value) => sum + value, 0);
    const text = `${total(found.done).toLocaleString("en")} done, ${total(found.failed).toLocaleString("en")} ended otherwise in the last ${span}`;
    this.place.setAttribute("aria-label", `Attempts by time: ${text}`);
    document.getElementById("chart-text").textContent = text;
    this.plot?.destroy();
    this.plot = new uPlot(this.options(), [found.time, found.done.map(orNone), found.failed.map(orNone)], this.place);
  }

  options() {
    const colour = (name) => getComputedStyle(body).getPropertyValue(name).trim();
    const bars = uPlot.paths.bars({ size: [0.8, 60] });
    const series = (label, name) => ({ label, stroke: colour(name), fill: colour(name), paths: bars, points: { show: false } });
    const axis = { stroke: colour("--text"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    return {
      width: Math.max(200, this.place.clientWidth), height: 180,
      series: [{}, series("done", "--good"), series("ended otherwise", "--bad")],
      axes: [{ ...axis, values: (_, times) => times.map(clock) }, { ...axis, size: 56 }],
      scales: { y: { range: (_, low, high) => [0, Math.max(high, 1)] } },
      legend: { show: false }, cursor: { show: false },
    };
  }
}

if (body.dataset.live) follow();
document.querySelectorAll(".compare").forEach(compare);
fillCount();
body.addEventListener("htmx:afterSwap", fillCount);

const place = document.getElementById("chart");
if (place) {
  const chart = new Chart(place);
  chart.draw();
  body.addEventListener("journal-changed", () => { if (Date.now() - chart.drawn >= SLOWEST / 2) chart.draw(); });
  for (const input of document.querySelectorAll("input[name=span]")) input.addEventListener("change", () => chart.draw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.draw());
  new ResizeObserver(() => chart.plot?.setSize({ width: Math.max(200, place.clientWidth), height: 180 })).observe(place);
}
