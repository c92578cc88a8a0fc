/** The dialog of maintenance: announce it, see what there is and was, end it. */

import { useEffect, useRef } from "preact/hooks";
import { announceMaintenance, endMaintenance, listMaintenance } from "../api.js";
import { clock } from "../format.js";
import { html } from "../html.js";
import { useAction, useNow, useResource } from "../resource.js";
import { HostText } from "./host-text.js";
import { Icon } from "./icon.js";
import { MaintenanceForm } from "./maintenance-form.js";
import { Loaded } from "./notice.js";

const MOST_SHOWN = 20;

/** Shows the windows that `host` is in, or with null all of them, and a form for a new one. Escape closes it. */
export function MaintenanceDialog({ host, onClosed }) {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  const windows = useResource(
    `maintenance ${host?.id}`,
    (signal) => listMaintenance({ host: host?.id, limit: MOST_SHOWN }, signal),
    (change) => change.topic === "all",
  );
  const [announce, announcing] = useAction((asked) => announceMaintenance(asked).finally(windows.reload));
  return html`<dialog ref=${dialog} class="script-dialog" aria-labelledby="maintenance-title" onClose=${onClosed}>
    <button type="button" class="quiet dialog-close" onClick=${() => dialog.current.close()} aria-label="Close">
      <${Icon} name="close" />
    </button>
    <header class="script-head">
      <h2 id="maintenance-title">Maintenance</h2>
      <p class="hint">What opens in it is muted, and counts again when it ends while that is still open.</p>
    </header>
    <${MaintenanceForm} host=${host} state=${announcing} onAnnounce=${announce} />
    <${Loaded} resource=${windows} what="maintenance">
      ${({ items }) =>
        items.length > 0 &&
        html`<h3>Announced and past</h3>
          <ul class="events">
            ${items.map((window) => html`<${Row} key=${window.id} window=${window} onEnded=${windows.reload} />`)}
          </ul>`}
    <//>
  </dialog>`;
}

function Row({ window, onEnded }) {
  const now = useNow();
  const [end, ending] = useAction(() => endMaintenance(window.id).finally(onEnded));
  const time = (at) => clock(Date.parse(at), now);
  return html`<li class="event ${window.stage === "active" ? "tone-medium" : "tone-muted"}">
    <div class="event-head">
      <span class="badge ${window.stage === "active" ? "tone-medium" : "tone-muted"}">${window.stage}</span>
      <span class="event-age">
        ${time(window.starts_at)} to ${window.ends_at === null ? "for ever" : time(window.ends_at)}
      </span>
    </div>
    <p>
      <${Of} window=${window} />${" "}<${HostText} text=${window.reason} />
    </p>
    <div class="event-foot">
      <p class="hint">
        by <${HostText} text=${window.created_by} />, ${window.muted_events} muted
        ${window.ended_by && html`, ended early by <${HostText} text=${window.ended_by} />`}
      </p>
      ${
        window.stage !== "past" &&
        html`<button type="button" class="small" disabled=${ending.busy} onClick=${end}>
        ${window.stage === "active" ? "End now" : "Call off"}
      </button>`
      }
    </div>
    ${ending.error && html`<p class="action-error" role="alert">${ending.error.message}</p>`}
  </li>`;
}

function Of({ window }) {
  if (window.host) return html`<span class="tag"><${HostText} text=${window.host} /></span>`;
  if (window.tag) return html`<span class="tag">tag <${HostText} text=${window.tag} /></span>`;
  return html`<span class="tag">the whole fleet</span>`;
}
