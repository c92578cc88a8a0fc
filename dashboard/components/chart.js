/** One chart: lines with a band from the lowest to the highest value of each point, and a readout for the cursor. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { clock } from "../format.js";
import { columns } from "../history.js";
import { html } from "../html.js";

const HEIGHT = 132;
const AXIS_WIDTH = 62;
// Nothing is missing between two points that are no farther apart than these.
const GAP_STEPS = 1.5;
const GAP_INTERVALS = 2.5;
const DAY_SECONDS = 86400;
const KEY_STEPS = { ArrowLeft: -1, ArrowRight: 1 };

/** `chart` says which lines of `history` and how; `interval` is the host's pace in seconds. */
export function Chart({ chart, history, interval }) {
  const place = useRef(null);
  const plot = useRef(null);
  const span = useRef(null);
  span.current = [history.from, history.to];
  const [cursor, setCursor] = useState(null);
  const data = useMemo(() => {
    const gap = Math.max(GAP_STEPS * history.step, GAP_INTERVALS * (interval ?? 0));
    return columns(
      history.series,
      chart.lines.map((line) => line.name),
      gap,
    );
  }, [history, interval, chart]);

  useEffect(() => {
    // The reference is empty before this effect is cleaned up.
    const element = place.current;
    const made = new uPlot(
      options(chart, () => span.current, element, setCursor),
      data,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    const redraw = () => made.redraw(false, true);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    window.addEventListener("themechange", redraw);
    dark.addEventListener("change", redraw);
    return () => {
      window.removeEventListener("themechange", redraw);
      dark.removeEventListener("change", redraw);
      observer.disconnect();
      made.destroy();
    };
  }, [chart]);

  useEffect(() => plot.current.setData(data), [data]);

  function step(event) {
    const by = KEY_STEPS[event.key];
    const last = data[0].length - 1;
    if (event.key === "Escape") plot.current.setCursor({ left: -10, top: -10 });
    if (by === undefined || last < 0) return;
    event.preventDefault();
    const at = Math.min(last, Math.max(0, (cursor ?? last + (by < 0 ? 1 : 0)) + by));
    plot.current.setCursor({ left: plot.current.valToPos(data[0][at], "x"), top: HEIGHT / 3 });
  }

  const shownAt = cursor !== null && cursor < data[0].length ? cursor : data[0].length - 1;
  return html`<figure class="chart">
    <figcaption>
      <h3>${chart.title}</h3>
      <span class="chart-time">${cursor === null ? "" : clock(data[0][shownAt] * 1000, history.to * 1000)}</span>
      ${chart.lines.map(
        (line, i) => html`<span class="reading" key=${line.name}>
          <i class="swatch series-${i + 1}"></i>${line.label}${" "}
          <b>${reading(chart, line, data, i, shownAt, cursor !== null)}</b>
        </span>`,
      )}
    </figcaption>
    <div class="plot" ref=${place} role="img" tabindex="0" aria-label=${summary(chart, data)} onKeyDown=${step}></div>
  </figure>`;
}

function reading(chart, line, data, i, at, withBand) {
  const [average, least, most] = [1, 2, 3].map((column) => data[3 * i + column][at]);
  const value = chart.format(average);
  if (!withBand || !line.band || least === null || least === most) return value;
  return `${value} (${chart.format(least)} to ${chart.format(most)})`;
}

function summary(chart, data) {
  const said = chart.lines.map((line, i) => {
    const [average, least, most] = [1, 2, 3].map((column) => data[3 * i + column].filter((value) => value !== null));
    if (average.length === 0) return `${line.label} not measured`;
    const range = `from ${chart.format(Math.min(...least))} to ${chart.format(Math.max(...most))}`;
    return `${line.label} ${chart.format(average.at(-1))}, ${range}`;
  });
  return `${chart.title} over ${chart.span ?? "the last hour"}: ${said.join("; ")}. Arrow keys move the cursor.`;
}

function options(chart, span, place, setCursor) {
  const color = (name) => () => resolved(place, name);
  const grid = { stroke: color("--chart-grid"), width: 1 };
  const axis = { stroke: color("--text-muted"), grid, ticks: { show: false }, font: `11px ${font(place)}` };
  const series = chart.lines.flatMap((line, i) => [
    {
      stroke: color(`--series-${i + 1}`),
      width: 1.5,
      points: { filter: lonePoints, size: 4, width: 0, fill: color(`--series-${i + 1}`) },
    },
    ...[0, 1].map(() => ({ stroke: "transparent", width: 0, points: { show: false } })),
  ]);
  const bands = chart.lines.flatMap((line, i) =>
    line.band ? [{ series: [3 * i + 3, 3 * i + 2], fill: color(`--series-${i + 1}-band`) }] : [],
  );
  return {
    width: place.clientWidth || 300,
    height: HEIGHT,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: "charts", setSeries: false },
      drag: { x: false, y: false },
      y: false,
      points: { size: 6 },
    },
    scales: { x: { range: () => span() }, y: { range: (_, __, most) => [0, chart.most ?? ceiling(most, chart)] } },
    axes: [
      { ...axis, size: 22, space: 60, values: (_, splits) => splits.map((at) => shortTime(at, span())) },
      {
        ...axis,
        size: AXIS_WIDTH,
        space: 28,
        splits: (_, __, ___, most) => splits(most),
        values: (_, values) => values.map((one) => tick(chart, one)),
      },
    ],
    series: [{}, ...series],
    bands,
    hooks: { setCursor: [(self) => setCursor(self.cursor.idx ?? null)] },
  };
}

/** Return the places of points that no line reaches, since their neighbours are gaps. */
function lonePoints(self, i, isShown) {
  if (isShown) return null;
  const values = self.data[i];
  return values.flatMap((value, at) =>
    value !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null ? [at] : [],
  );
}

/** Return a round number that the highest value stays below. */
function ceiling(most, chart) {
  const wanted = Math.max(most ?? 0, chart.isBytes ? 1024 : 1) * 1.02;
  if (chart.isBytes) return 2 ** Math.ceil(Math.log2(wanted));
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 2, 4, 6, 8, 10].map((factor) => factor * power).find((round) => round >= wanted);
}

function splits(most) {
  return [0, most / 2, most];
}

function tick(chart, value) {
  if (value === 0) return "0";
  return chart.format(value).replace(/\.0+(?=\D|$)/, "");
}

function shortTime(at, [from, to]) {
  if (to - from > DAY_SECONDS) return new Date(at * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return new Date(at * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

function font(place) {
  return getComputedStyle(place).fontFamily;
}

/** Return a colour of tokens.css as a canvas takes it. */
function resolved(place, name) {
  place.style.color = `var(${name})`;
  const color = getComputedStyle(place).color;
  place.style.color = "";
  return color;
}
