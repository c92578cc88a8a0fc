/** One thing that would help: what to expect of it, what it risks, and its script or why there is none. */

import { useContext } from "preact/hooks";
import { html } from "../html.js";
import { visibleText } from "../visible.js";
import { HostText } from "./host-text.js";
import { Icon } from "./icon.js";
import { ScriptContext } from "./script-context.js";

const MOST_SHOWN = 400;

/** A suggestion for a host; with `onChoose` the host is named, and leads to it. */
export function Suggestion({ suggestion, host, onChoose }) {
  const open = useContext(ScriptContext);
  const { text, expected, impact, risk, issue_type: issueType, no_remedy: noRemedy } = suggestion;
  const { event_id: eventId, parameters, also_hosts: alsoHosts = [] } = suggestion;
  const ask = () => open({ key: `optimize ${host} ${text}`, issueType, host, eventId, parameters });
  return html`<li>
    ${
      onChoose &&
      html`<p class="suggestion-hosts">
      <button type="button" class="link" onClick=${() => onChoose(host)}><${HostText} text=${host} limit=${40} /></button>
      ${alsoHosts.map((one) => html`, <${HostText} key=${one} text=${one} limit=${40} />`)}
    </p>`
    }
    <p><${HostText} text=${text} limit=${MOST_SHOWN} /></p>
    <p class="expected"><${HostText} text=${expected} limit=${MOST_SHOWN} /></p>
    <div class="suggestion-foot">
      <span class="impact">${visibleText(impact)} impact, ${risk === "none" ? "no" : visibleText(risk)} risk</span>
      ${
        issueType
          ? html`<button type="button" class="small" onClick=${ask}><${Icon} name="script" />Make script…</button>`
          : html`<span class="impact no-remedy"><${HostText} text=${noRemedy} limit=${MOST_SHOWN} /></span>`
      }
    </div>
  </li>`;
}
