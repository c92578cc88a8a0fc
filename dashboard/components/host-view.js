/** One host: how it is, its metrics, its events, what would help it. */

import { useEffect } from "preact/hooks";
import { showHost } from "../api.js";
import { useEvents } from "../events.js";
import { html } from "../html.js";
import { concerns } from "../live.js";
import { useResource } from "../resource.js";
import { setTitle } from "../title.js";
import { Charts } from "./charts.js";
import { Delivery } from "./delivery.js";
import { Filesystems } from "./filesystems.js";
import { HostSummary } from "./host-summary.js";
import { MetricTiles } from "./metric-tiles.js";
import { Loading, Notice } from "./notice.js";
import { OpenEvents } from "./open-events.js";
import { Optimize } from "./optimize.js";
import { ProcessTable } from "./process-table.js";
import { HostScripts } from "./script-history.js";
import { Timeline } from "./timeline.js";

/** The host of this name. */
export function HostView({ name, onEveryHost }) {
  const resource = useResource(
    `host ${name}`,
    (signal) => showHost(name, signal),
    (change) => concerns(change, "snapshots", host?.id) || concerns(change, "events", host?.id),
  );
  const host = resource.data;
  const open = host?.open_events ?? 0;
  useEffect(() => setTitle(name, open), [name, open]);
  if (host === undefined) {
    if (!resource.error) return html`<${Loading} what="the host" rows=${6} />`;
    return html`
      <${Notice} tone="error" onRetry=${resource.reload}>${resource.error.message}<//>
      <p><button type="button" onClick=${onEveryHost}>Show all hosts</button></p>
    `;
  }
  return html`
    ${
      resource.error &&
      html`<${Notice} tone="error" onRetry=${resource.reload}>
      What you see may be old. ${resource.error.message}
    <//>`
    }
    <${HostSummary} host=${host} onChanged=${resource.reload} />
    <${MetricTiles} host=${host} />
    <${Columns} host=${host} />
  `;
}

function Columns({ host }) {
  const events = useEvents(host);
  return html`<div class="columns">
    <div class="column-events"><${OpenEvents} events=${events} /></div>
    <div class="column-metrics">
      <${Charts} host=${host} />
      <${Filesystems} host=${host} />
      <${Optimize} host=${host} />
      <${ProcessTable} host=${host} />
      <${HostScripts} host=${host} />
      <${Delivery} host=${host} />
    </div>
    <div class="column-past"><${Timeline} events=${events} host=${host} /></div>
  </div>`;
}
