/** What was seen when an event opened. */

import { bytes, clock, duration, percent } from "../format.js";
import { html } from "../html.js";
import { visibleText } from "../visible.js";
import { At } from "./ago.js";
import { GrownDirectories, GrownProcesses } from "./growth.js";
import { HostText } from "./host-text.js";

const FORMATS = [
  [/_percent$/, percent],
  [/_bytes$/, bytes],
  [/_seconds$/, duration],
];
const TIME = /(_at|_time|_seen)$/;
// Said elsewhere, or of no use to a reader.
const LEFT_OUT = new Set(["taken_at"]);
const WORDS = new Map([
  [null, "–"],
  [true, "yes"],
  [false, "no"],
]);
const MOST_SHOWN = 240;

/** A part to be opened; nothing where nothing was seen. */
export function Evidence({ evidence }) {
  const parts = Object.entries(evidence ?? {}).filter(([name]) => !LEFT_OUT.has(name));
  if (parts.length === 0) return html`<span></span>`;
  return html`<details class="evidence">
    <summary>Evidence</summary>
    ${parts.map(([name, value]) => html`<${Part} key=${name} name=${name} value=${value} />`)}
  </details>`;
}

function Part({ name, value }) {
  if (name === "processes" && Array.isArray(value)) return html`<${Processes} processes=${value} />`;
  if (name === "directories" && Array.isArray(value)) return html`<${GrownDirectories} directories=${value} />`;
  if (name === "grown" && Array.isArray(value)) return html`<${GrownProcesses} processes=${value} />`;
  if (name === "changes" && Array.isArray(value)) return html`<${Changes} changes=${value} />`;
  if (name === "process" && value) return html`<${Processes} processes=${[value]} />`;
  if (value !== null && typeof value === "object") {
    const fields = Object.entries(value);
    return html`<dl>${fields.map(([field, one]) => html`<${Field} key=${field} name=${field} value=${one} />`)}</dl>`;
  }
  return html`<dl><${Field} name=${name} value=${value} /></dl>`;
}

function Field({ name, value }) {
  const format = formatOf(name, value);
  const text = WORDS.get(value) ?? (typeof value === "string" ? value : JSON.stringify(value));
  return html`<div>
    <dt>${visibleText(name.replaceAll("_", " "), 60)}</dt>
    <dd>${format ? format(value) : html`<${HostText} text=${text} limit=${MOST_SHOWN} />`}</dd>
  </div>`;
}

function formatOf(name, value) {
  if (typeof value === "number") return FORMATS.find(([pattern]) => pattern.test(name))?.[1];
  const isTime = typeof value === "string" && TIME.test(name) && !Number.isNaN(Date.parse(value));
  return isTime ? (time) => clock(Date.parse(time), Date.now()) : undefined;
}

function Changes({ changes }) {
  return html`<dl>
    ${changes.map(
      (change, place) => html`<div key=${place}>
        <dt>${Number.isNaN(Date.parse(change.at)) ? "–" : html`<${At} at=${change.at} />`}</dt>
        <dd><${HostText} text=${change.text} limit=${MOST_SHOWN} /></dd>
      </div>`,
    )}
  </dl>`;
}

function Processes({ processes }) {
  return html`<table>
    <thead>
      <tr>
        <th scope="col">Process</th>
        <th scope="col" class="number">CPU</th>
        <th scope="col" class="number">Memory</th>
      </tr>
    </thead>
    <tbody>
      ${processes.map(
        (process) => html`<tr key=${`${process.pid} ${process.start_time}`}>
          <th scope="row" title=${visibleText(process.command || process.name)}>
            <${HostText} text=${process.name} limit=${40} /> <small>${process.pid}</small>
          </th>
          <td class="number">${percent(process.cpu_percent)}</td>
          <td class="number">${percent(process.memory_percent)}</td>
        </tr>`,
      )}
    </tbody>
  </table>`;
}
