/** What grew before an event: directories of a filesystem, processes in memory. */

import { bytes, duration } from "../format.js";
import { html } from "../html.js";
import { visibleText } from "../visible.js";
import { HostText } from "./host-text.js";

const MOST_CHARACTERS = 60;

/** The directories that grew most and hold most. */
export function GrownDirectories({ directories }) {
  const rows = directories.map((one) => ({ ...one, name: one.path, held: one.bytes }));
  return html`<${Growth} what="Directory" held="Size" rows=${rows} />`;
}

/** The processes that grew most. */
export function GrownProcesses({ processes }) {
  const rows = processes.map((one) => ({ ...one, note: one.pid, held: one.memory_bytes }));
  return html`<${Growth} what="Grown process" held="Memory" rows=${rows} />`;
}

function Growth({ what, held, rows }) {
  return html`<table>
    <thead>
      <tr>
        <th scope="col">${what}</th>
        <th scope="col" class="number">${held}</th>
        <th scope="col" class="growth">Growth</th>
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        (row, place) => html`<tr key=${place}>
          <th scope="row" title=${visibleText(row.name)}>
            <${HostText} text=${row.name} limit=${MOST_CHARACTERS} /> ${row.note && html`<small>${row.note}</small>`}
          </th>
          <td class="number">${bytes(row.held)}</td>
          <td class="growth">${growth(row.growth_bytes, row.seconds)}</td>
        </tr>`,
      )}
    </tbody>
  </table>`;
}

function growth(change, seconds) {
  if (typeof change !== "number") return "–";
  const sign = change < 0 ? "−" : "+";
  return `${sign}${bytes(Math.abs(change))} in ${duration(seconds)}`;
}
