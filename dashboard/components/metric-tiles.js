/** The figures of the last snapshot. */

import { bytes, bytesPerSecond, celsius, count, decimal, percent } from "../format.js";
import { freshness } from "../freshness.js";
import { html } from "../html.js";
import { useNow } from "../resource.js";

/** A row of tiles, greyed when the figures are old. */
export function MetricTiles({ host }) {
  const isFresh = freshness(host, useNow()) === "fresh";
  return html`<section class="tiles ${isFresh ? "" : "is-old"}" aria-label="Metrics of the last snapshot">
    ${tiles(host).map((tile) => html`<${tile.pair ? Pair : Tile} key=${tile.title} ...${tile} />`)}
  </section>`;
}

function tiles({ metrics: m, cpu_count: cpus }) {
  return [
    {
      title: "CPU",
      value: percent(m.cpu_percent),
      meter: m.cpu_percent,
      note:
        m.cpu_user_percent !== null && `user ${count(m.cpu_user_percent)}, system ${percent(m.cpu_system_percent, 0)}`,
    },
    {
      title: "Memory",
      value: percent(m.memory_percent),
      meter: m.memory_percent,
      note: m.memory_total_bytes !== null && `${bytes(m.memory_used_bytes)} of ${bytes(m.memory_total_bytes)}`,
    },
    {
      title: "Disk",
      value: percent(m.disk_percent),
      meter: m.disk_percent,
      note: m.disk_percent !== null && "the fullest filesystem",
    },
    {
      title: "Load",
      value: decimal(m.load_1),
      meter: cpus > 0 && m.load_1 !== null ? (100 * m.load_1) / cpus : null,
      note: m.load_5 !== null && `5 min ${decimal(m.load_5)}, 15 min ${decimal(m.load_15)}`,
    },
    {
      title: "Network",
      pair: [
        ["in", bytesPerSecond(m.network_receive_bytes_per_second)],
        ["out", bytesPerSecond(m.network_transmit_bytes_per_second)],
      ],
    },
    {
      title: "Disk traffic",
      pair: [
        ["read", bytesPerSecond(m.disk_read_bytes_per_second)],
        ["write", bytesPerSecond(m.disk_write_bytes_per_second)],
      ],
    },
    {
      title: "Swap",
      value: percent(m.swap_percent),
      meter: m.swap_percent,
      note:
        m.swap_used_bytes !== null ? `${bytes(m.swap_used_bytes)} used` : m.memory_percent !== null && "none here",
    },
    {
      title: "Processes",
      value: count(m.processes),
      note: [
        m.threads !== null && `${count(m.threads)} threads`,
        m.temperature_celsius !== null && celsius(m.temperature_celsius),
      ]
        .filter(Boolean)
        .join(", "),
    },
  ];
}

function Tile({ title, value, note, meter = null }) {
  const filled = Math.min(100, Math.max(0, meter ?? 0));
  return html`<div class="tile">
    <h2>${title}</h2>
    <p class="tile-value">${value}</p>
    ${note && html`<p class="tile-note">${note}</p>`}
    ${meter !== null && html`<div class="meter"><i style=${{ width: `${filled}%` }}></i></div>`}
  </div>`;
}

function Pair({ title, pair }) {
  return html`<div class="tile">
    <h2>${title}</h2>
    <dl class="tile-pair">
      ${pair.map(
        ([name, value]) => html`<div key=${name}>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
      )}
    </dl>
  </div>`;
}
