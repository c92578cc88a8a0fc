/** The head of a host's page: its name, its health, how fresh it is, start and stop. */

import { useContext } from "preact/hooks";
import { clock, duration } from "../format.js";
import { freshness } from "../freshness.js";
import { html } from "../html.js";
import { useNow } from "../resource.js";
import { Ago } from "./ago.js";
import { HealthBadge, MaintenanceBadge } from "./badges.js";
import { HostText } from "./host-text.js";
import { MaintenanceControl } from "./maintenance-control.js";
import { MonitorControls } from "./monitor-controls.js";
import { Icon } from "./icon.js";
import { Notice } from "./notice.js";
import { ScriptContext } from "./script-context.js";

/** The head of this host's page; `onChanged` is called when monitoring was started or stopped. */
export function HostSummary({ host, onChanged }) {
  const openScript = useContext(ScriptContext);
  const now = useNow();
  const fresh = freshness(host, now);
  const uptime = host.metrics.uptime_seconds;
  return html`
    <section class="summary" aria-label="Host ${host.name}">
      <div class="summary-name">
        <h1><${HostText} text=${host.name} /></h1>
        <${HealthBadge} health=${host.health} />
        <${MaintenanceBadge} window=${host.maintenance} />
        <span class="freshness freshness-${fresh}">
          ${host.last_seen === null ? "never seen" : html`last seen <${Ago} at=${host.last_seen} />`}
        </span>
      </div>
      <p class="facts">
        ${host.os_name && html`<span><${HostText} text=${host.os_name} /></span>`}
        ${host.cpu_count > 0 && html`<span>${host.cpu_count} ${host.cpu_count === 1 ? "CPU" : "CPUs"}</span>`}
        ${uptime !== null && html`<span>up ${duration(uptime)}</span>`}
        ${host.interval_seconds && html`<span>every ${duration(host.interval_seconds)}</span>`}
        ${host.tags.map((tag) => html`<span class="tag" key=${tag}><${HostText} text=${tag} /></span>`)}
      </p>
      <div class="summary-actions">
        <button type="button" onClick=${() => openScript({ key: "any", host: host.name })}>
          <${Icon} name="script" />Make a script…
        </button>
        <${MaintenanceControl} host=${host} onChanged=${onChanged} />
        <${MonitorControls} host=${host.id} running=${host.monitoring} onChanged=${onChanged} />
      </div>
    </section>
    ${
      host.maintenance &&
      html`<${Notice}>
      Under maintenance ${until(host.maintenance, now)}: <${HostText} text=${host.maintenance.reason} />
    <//>`
    }
    ${fresh === "paused" && html`<${Notice}>Monitoring is stopped: nothing new comes in until you start it.<//>`}
    ${fresh === "never" && html`<${Notice}>No snapshot has come yet. Is the collector of this host running?<//>`}
    ${
      fresh === "late" &&
      html`<${Notice} tone="warning">
      The host is silent: last seen <${Ago} at=${host.last_seen} />. All figures are from then.
    <//>`
    }
  `;
}

function until({ ends_at: end }, now) {
  return end === null ? "until somebody ends it" : `until ${clock(Date.parse(end), now)}`;
}
