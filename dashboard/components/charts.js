/** The charts of the last hour. */

import { useRef } from "preact/hooks";
import { serverNow } from "../api.js";
import { bytesPerSecond, clock, decimal, percent } from "../format.js";
import { loadHistory } from "../history.js";
import { html } from "../html.js";
import { concerns } from "../live.js";
import { useResource } from "../resource.js";
import { Chart } from "./chart.js";
import { Loaded } from "./notice.js";
import { Panel } from "./panel.js";

const CHARTS = [
  {
    title: "CPU",
    format: percent,
    most: 100,
    lines: [
      { name: "cpu_percent", label: "busy", band: true },
      { name: "cpu_iowait_percent", label: "I/O wait" },
    ],
  },
  {
    title: "Memory",
    format: percent,
    most: 100,
    lines: [
      { name: "memory_percent", label: "in use", band: true },
      { name: "swap_percent", label: "swap" },
    ],
  },
  {
    title: "Disk",
    format: percent,
    most: 100,
    lines: [
      { name: "disk_percent", label: "fullest", band: true },
      { name: "disk_busy_percent", label: "busiest", band: true },
    ],
  },
  {
    title: "Load",
    format: decimal,
    lines: [
      { name: "load_1", label: "1 min", band: true },
      { name: "load_5", label: "5 min" },
      { name: "load_15", label: "15 min" },
    ],
  },
  {
    title: "Network",
    format: bytesPerSecond,
    isBytes: true,
    lines: [
      { name: "network_receive_bytes_per_second", label: "in", band: true },
      { name: "network_transmit_bytes_per_second", label: "out", band: true },
    ],
  },
  {
    title: "Disk traffic",
    format: bytesPerSecond,
    isBytes: true,
    lines: [
      { name: "disk_read_bytes_per_second", label: "read", band: true },
      { name: "disk_write_bytes_per_second", label: "write", band: true },
    ],
  },
];
const NAMES = CHARTS.flatMap((chart) => chart.lines.map((line) => line.name));
// A chart point stands for many seconds: no need to ask with every snapshot.
const SPACING_MS = 5000;

/** All charts of a host, over the same time, with one cursor. */
export function Charts({ host }) {
  const firstSeen = useRef(null);
  const history = useResource(
    `history ${host.id}`,
    async (signal) => {
      const loaded = await loadHistory(host.id, NAMES, serverNow(), firstSeen.current, signal);
      firstSeen.current = loaded.first;
      return loaded;
    },
    (change) => concerns(change, "snapshots", host.id),
    SPACING_MS,
  );
  return html`<${Panel} title="Last hour" id="charts" actions=${html`<${Span} history=${history.data} />`}>
    <${Loaded} resource=${history} what="the charts" rows=${8}>
      ${(loaded) =>
        loaded.first === null
          ? html`<p class="empty">Nothing was measured in the last hour.</p>`
          : html`<div class="charts">
              ${CHARTS.map(
                (chart) => html`<${Chart}
                  key=${chart.title}
                  chart=${chart}
                  history=${loaded}
                  interval=${host.interval_seconds}
                />`,
              )}
            </div>`}
    <//>
  <//>`;
}

function Span({ history }) {
  if (!history || history.first === null) return null;
  const minutes = Math.round((history.to - history.from) / 60);
  return html`<span class="hint">
    ${minutes < 59 && `${minutes} min, since ${clock(history.from * 1000, history.to * 1000)}; `}
    a point every ${history.step} s
  </span>`;
}
