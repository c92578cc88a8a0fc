/** The scripts that were asked for, the newest first. */

import { useContext } from "preact/hooks";
import { listScripts } from "../api.js";
import { html } from "../html.js";
import { concerns } from "../live.js";
import { useResource } from "../resource.js";
import { visibleText } from "../visible.js";
import { SCRIPT_TYPES } from "../vocabulary.js";
import { Ago } from "./ago.js";
import { ScriptStateBadge } from "./badges.js";
import { HostText } from "./host-text.js";
import { Loaded } from "./notice.js";
import { Panel } from "./panel.js";
import { ScriptContext } from "./script-context.js";

const SHOWN = 10;

/** The last scripts of a host, in a panel. */
export function HostScripts({ host }) {
  const scripts = useScripts({ host: host.id });
  const open = useContext(ScriptContext);
  return html`<${Panel} title="Scripts" id="scripts" data-testid="scripts">
    <${Loaded} resource=${scripts} what="the scripts" rows=${3}>
      ${({ items }) =>
        items.length === 0
          ? html`<p class="empty">No script was asked for yet.</p>`
          : html`<${List}
              scripts=${items}
              onOpen=${(script) => open({ key: `script ${script.id}`, scriptId: script.id })}
            />`}
    <//>
  <//>`;
}

/** The other scripts for the event of this one; nothing where there are none. */
export function EventScripts({ script, onOpen }) {
  const scripts = useScripts({ event: script.event_id });
  const others = scripts.data?.items.filter((one) => one.id !== script.id) ?? [];
  if (others.length === 0) return null;
  return html`<section class="other-scripts" aria-label="Other scripts for this event">
    <h3>Other scripts for this event</h3>
    <${List} scripts=${others} onOpen=${(one) => onOpen(one.id)} />
  </section>`;
}

function useScripts(wanted) {
  return useResource(
    `scripts ${JSON.stringify(wanted)}`,
    (signal) => listScripts({ ...wanted, limit: SHOWN }, signal),
    (change) => concerns(change, "scripts"),
  );
}

function List({ scripts, onOpen }) {
  return html`<ol class="script-history">
    ${scripts.map(
      (script) => html`<li key=${script.id}>
        <${ScriptStateBadge} state=${script.state} />
        <span class="script-history-text">
          <code>${visibleText(script.issue_type)}</code> ${SCRIPT_TYPES[script.script_type] ?? script.script_type}
          <small>
            ${script.event_id !== null && html`event ${script.event_id}, `}<${Ago} at=${script.requested_at} />
            ${script.requested_by && html` by ${visibleText(script.requested_by, 64)}`}
            ${script.error && html`: <${HostText} text=${script.error} limit=${120} />`}
          </small>
        </span>
        <button
          type="button"
          class="quiet small"
          onClick=${() => onOpen(script)}
          aria-label="Script ${script.id}, ${visibleText(script.issue_type)}"
        >
          Show
        </button>
      </li>`,
    )}
  </ol>`;
}
