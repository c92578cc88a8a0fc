/** The top processes of the last snapshot. */

import { useContext, useState } from "preact/hooks";
import { listProcesses } from "../api.js";
import { bytes, percent } from "../format.js";
import { html } from "../html.js";
import { concerns } from "../live.js";
import { useResource } from "../resource.js";
import { visibleText } from "../visible.js";
import { Ago } from "./ago.js";
import { HostText } from "./host-text.js";
import { Loaded } from "./notice.js";
import { Panel } from "./panel.js";
import { ScriptContext } from "./script-context.js";

const SHOWN = 8;
const SPACING_MS = 2000;
const REMEDY = { cpu_percent: "cpu_high", memory_percent: "process_memory_high" };

/** A table to be sorted by CPU or by memory. */
export function ProcessTable({ host }) {
  const [by, setBy] = useState("cpu_percent");
  const [all, setAll] = useState(false);
  const processes = useResource(
    `processes ${host.id}`,
    (signal) => listProcesses(host.id, signal),
    (change) => concerns(change, "snapshots", host.id),
    SPACING_MS,
  );
  const hint =
    processes.data?.taken_at && html`<span class="hint">as of <${Ago} at=${processes.data.taken_at} /></span>`;
  return html`<${Panel} title="Top processes" id="processes" actions=${hint}>
    <${Loaded} resource=${processes} what="the processes" rows=${5}>
      ${({ items }) => {
        if (items.length === 0) return html`<p class="empty">The host has not named any process.</p>`;
        const sorted = [...items].sort((a, b) => (b[by] ?? -1) - (a[by] ?? -1));
        return html`
          <div class="table-frame" tabindex="0" role="region" aria-label="Table of processes">
            <table>
              <thead>
                <tr>
                  <th scope="col">Process</th>
                  <th scope="col" class="number wide-only">PID</th>
                  <th scope="col" class="wide-only">User</th>
                  <${Sortable} title="CPU" column="cpu_percent" by=${by} onSort=${setBy} hint="of one CPU" />
                  <${Sortable} title="Memory" column="memory_percent" by=${by} onSort=${setBy} />
                  <th scope="col"><span class="for-screen-readers">Script</span></th>
                </tr>
              </thead>
              <tbody>
                ${sorted.slice(0, all ? undefined : SHOWN).map(
                  (process) => html`<${Row}
                      key=${`${process.pid} ${process.start_time}`}
                      host=${host}
                      process=${process}
                      remedy=${REMEDY[by]}
                    />`,
                )}
              </tbody>
            </table>
          </div>
          ${
            items.length > SHOWN &&
            html`<button type="button" class="quiet small" onClick=${() => setAll(!all)}>
            ${all ? "Show fewer" : `Show all ${items.length}`}
          </button>`
          }
        `;
      }}
    <//>
  <//>`;
}

function Sortable({ title, column, by, onSort, hint = null }) {
  return html`<th scope="col" class="number" aria-sort=${by === column ? "descending" : "none"}>
    <button type="button" class="sort" title=${hint} onClick=${() => onSort(column)}>
      ${title}${by === column ? " ↓" : ""}
    </button>
  </th>`;
}

function Row({ host, process, remedy }) {
  const open = useContext(ScriptContext);
  const parameters = { pid: process.pid, start_time: Date.parse(process.start_time) / 1000 || null };
  const ask = () => open({ key: `${remedy} ${process.pid}`, issueType: remedy, host: host.name, parameters });
  return html`<tr>
    <th scope="row" class="process" title=${visibleText(process.command || process.name)}>
      <${HostText} text=${process.name} limit=${48} />
      <small class="narrow-only"><${HostText} text=${process.user} limit=${16} />, ${process.pid}</small>
    </th>
    <td class="number wide-only">${process.pid}</td>
    <td class="wide-only"><${HostText} text=${process.user} limit=${16} /></td>
    <td class="number">${percent(process.cpu_percent)}</td>
    <td class="number">${percent(process.memory_percent)} <small>${bytes(process.memory_bytes)}</small></td>
    <td class="number">
      <button type="button" class="quiet small" onClick=${ask} aria-label="Script for process ${process.pid}">
        Script…
      </button>
    </td>
  </tr>`;
}
