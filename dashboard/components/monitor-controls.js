/** Start and stop. */

import { useEffect, useState } from "preact/hooks";
import { startMonitoring, stopMonitoring } from "../api.js";
import { html } from "../html.js";
import { useAction } from "../resource.js";
import { Icon } from "./icon.js";

/**
 * Buttons for one host by id, or for all by `*`. `running` is whether any of it is monitored, `stopped` whether any of
 * it is not. What concerns many is asked twice.
 */
export function MonitorControls({ host, running, stopped = !running, hosts = 1, onChanged }) {
  const [asking, setAsking] = useState(false);
  const [start, starting] = useAction(() => startMonitoring(host).finally(onChanged));
  const [stop, stopping] = useAction(() => stopMonitoring(host).finally(onChanged));
  const busy = starting.busy || stopping.busy;
  const error = starting.error ?? stopping.error;
  const all = host === "*" ? " all" : "";

  useEffect(() => setAsking(false), [running]);

  function askOrStop() {
    if (hosts > 1 && !asking) setAsking(true);
    else stop();
  }

  return html`<div class="monitor-controls">
    <span class="monitor-state ${running ? "is-running" : "is-stopped"}">${running ? "Monitoring" : "Stopped"}</span>
    ${
      stopped &&
      html`<button type="button" disabled=${busy} onClick=${start}>
      <${Icon} name="play" />${starting.busy ? "Starting…" : `Start${all}`}
    </button>`
    }
    ${
      running &&
      html`<button type="button" class=${asking ? "danger" : ""} disabled=${busy} onClick=${askOrStop}>
      <${Icon} name="stop" />${stopping.busy ? "Stopping…" : asking ? `Really stop ${hosts} hosts?` : `Stop${all}`}
    </button>`
    }
    ${asking && html`<button type="button" class="quiet" onClick=${() => setAsking(false)}>Keep on</button>`}
    ${error && html`<span class="action-error" role="alert">${error.message}</span>`}
  </div>`;
}
