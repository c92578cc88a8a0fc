/** All hosts at once. */

import { useEffect, useState } from "preact/hooks";
import { fleetSummary, listHosts } from "../api.js";
import { useEvents } from "../events.js";
import { percent } from "../format.js";
import { freshness } from "../freshness.js";
import { html } from "../html.js";
import { concerns } from "../live.js";
import { useNow, useResource } from "../resource.js";
import { setTitle } from "../title.js";
import { HEALTH } from "../vocabulary.js";
import { Ago } from "./ago.js";
import { HealthBadge, MaintenanceBadge } from "./badges.js";
import { HostText } from "./host-text.js";
import { MaintenanceControl } from "./maintenance-control.js";
import { MonitorControls } from "./monitor-controls.js";
import { Loaded } from "./notice.js";
import { OpenEvents } from "./open-events.js";
import { Optimize } from "./optimize.js";
import { Panel } from "./panel.js";
import { SummaryCounts } from "./summary-counts.js";
import { Timeline } from "./timeline.js";

const MOST_SHOWN = 100;
const SPACING_MS = 3000;

/** The fleet: its numbers, its hosts, its events. */
export function FleetView({ onChoose }) {
  const events = useEvents(null);
  return html`
    <${FleetSummary} />
    <div class="columns">
      <div class="column-events"><${OpenEvents} events=${events} /></div>
      <div class="column-metrics">
        <${Optimize} host=${null} onChoose=${onChoose} />
        <${HostTable} onChoose=${onChoose} />
      </div>
      <div class="column-past"><${Timeline} events=${events} host=${null} /></div>
    </div>
  `;
}

function FleetSummary() {
  const summary = useResource("fleet summary", fleetSummary, (change) => concerns(change, "events"));
  const hosts = summary.data?.hosts;
  const open = summary.data?.events.open ?? 0;
  useEffect(() => setTitle("All hosts", open), [open]);
  return html`
    <section class="summary" aria-label="All hosts">
      <div class="summary-name">
        <h1>All hosts</h1>
        ${hosts && html`<span class="freshness">${hosts.monitored} of ${hosts.total} monitored</span>`}
      </div>
      ${
        hosts?.total > 0 &&
        html`<div class="summary-actions">
          <${MaintenanceControl} host=${null} onChanged=${summary.reload} />
          <${MonitorControls}
            host="*"
            running=${hosts.monitored > 0}
            stopped=${hosts.monitored < hosts.total}
            hosts=${hosts.total}
            onChanged=${summary.reload}
          />
        </div>`
      }
    </section>
    <${Loaded} resource=${summary} what="the summary" rows=${1}>${(data) => html`<${SummaryCounts} ...${data} />`}<//>
  `;
}

function HostTable({ onChoose }) {
  const [health, setHealth] = useState("");
  const hosts = useResource(
    `host table ${health}`,
    (signal) => listHosts({ limit: MOST_SHOWN, health }, signal),
    (change) => concerns(change, "snapshots") || concerns(change, "events"),
    SPACING_MS,
  );
  const choice = html`<span class="choice">
    <label for="filter-health">Health</label>
    <select id="filter-health" value=${health} onChange=${(event) => setHealth(event.target.value)}>
      <option value="">any</option>
      ${Object.entries(HEALTH).map(([one, word]) => html`<option key=${one} value=${one}>${word}</option>`)}
    </select>
  </span>`;
  return html`<${Panel} title="Hosts" id="hosts" actions=${choice}>
    <${Loaded} resource=${hosts} what="the hosts" rows=${6}>
      ${({ items, next }) =>
        items.length === 0
          ? html`<p class="empty">
              ${health ? "No host is like this." : html`No hosts yet: <code>fleetmedic enroll NAME</code> lets one in.`}
            </p>`
          : html`
              <div class="table-frame" tabindex="0" role="region" aria-label="Table of hosts">
                <table>
                  <thead>
                    <tr>
                      <th scope="col">Host</th>
                      <th scope="col" class="wide-only">Health</th>
                      <th scope="col" class="number">CPU</th>
                      <th scope="col" class="number">Memory</th>
                      <th scope="col" class="number">Disk</th>
                      <th scope="col" class="number wide-only">Open</th>
                      <th scope="col" class="wide-only">Last seen</th>
                    </tr>
                  </thead>
                  <tbody>
                    ${items.map((host) => html`<${HostRow} key=${host.id} host=${host} onChoose=${onChoose} />`)}
                  </tbody>
                </table>
              </div>
              ${
                next &&
                html`<p class="hint">The first ${items.length} by name. Find others by the field at the top.</p>`
              }
            `}
    <//>
  <//>`;
}

function HostRow({ host, onChoose }) {
  const fresh = freshness(host, useNow());
  return html`<tr class=${fresh === "fresh" ? "" : "is-old"}>
    <th scope="row">
      <button type="button" class="link" onClick=${() => onChoose(host.name)}>
        <${HostText} text=${host.name} limit=${40} />
      </button>
      <div class="narrow-only">
        <${HealthBadge} health=${host.health} /> <${MaintenanceBadge} window=${host.maintenance} />
      </div>
    </th>
    <td class="wide-only">
      <${HealthBadge} health=${host.health} /> <${MaintenanceBadge} window=${host.maintenance} />
    </td>
    <td class="number">${percent(host.metrics.cpu_percent)}</td>
    <td class="number">${percent(host.metrics.memory_percent)}</td>
    <td class="number">${percent(host.metrics.disk_percent)}</td>
    <td class="number wide-only">${host.open_events}</td>
    <td class="wide-only freshness-${fresh}">
      ${fresh === "paused" ? "stopped" : host.last_seen === null ? "never" : html`<${Ago} at=${host.last_seen} />`}
    </td>
  </tr>`;
}
