/** What holds a host back, and what would help. */

import { useContext } from "preact/hooks";
import { optimize } from "../api.js";
import { html } from "../html.js";
import { useResource } from "../resource.js";
import { visibleText } from "../visible.js";
import { RESOURCES } from "../vocabulary.js";
import { HostText } from "./host-text.js";
import { Icon } from "./icon.js";
import { Loaded } from "./notice.js";
import { Panel } from "./panel.js";
import { ScriptContext } from "./script-context.js";

const MOST_SHOWN = 400;

/** The analysis of a host's recent history: made anew every 30 seconds, and when asked for. */
export function Optimize({ host }) {
  const analysis = useResource(
    `optimize ${host.id}`,
    (signal) => optimize(host.id, signal),
    (change) => change.topic === "all",
  );
  const actions = html`<button type="button" class="quiet small" onClick=${analysis.reload}>
    <${Icon} name="refresh" />Look again
  </button>`;
  return html`<${Panel} title="Bottleneck" id="optimize" data-testid="optimize" actions=${actions}>
    <${Loaded} resource=${analysis} what="the analysis" rows=${4}>
      ${({ bottleneck, findings, suggestions }) => html`
        <${Bottleneck} resource=${bottleneck} />
        ${
          findings.length > 0 &&
          html`<ul class="findings">
          ${findings.map((one) => html`<${Finding} key=${one.resource} finding=${one} />`)}
        </ul>`
        }
        ${
          suggestions.length > 0 &&
          html`<ol class="suggestions">
          ${suggestions.map((one, i) => html`<${Suggestion} key=${i} suggestion=${one} host=${host} />`)}
        </ol>`
        }
      `}
    <//>
  <//>`;
}

function Bottleneck({ resource }) {
  if (resource === "none") return html`<p class="bottleneck good"><${Icon} name="healthy" />No bottleneck</p>`;
  return html`<p class="bottleneck">${named(resource)}</p>`;
}

function Finding({ finding }) {
  return html`<li class="tone-${finding.severity}">
    <span class="finding-name">${named(finding.resource)}</span>
    <span class="score" title="How near it is to holding everything back: ${Math.round(finding.score)} of 100">
      <i style=${{ width: `${Math.min(100, finding.score)}%` }}></i>
    </span>
    <span class="finding-text"><${HostText} text=${finding.text} limit=${MOST_SHOWN} /></span>
  </li>`;
}

function Suggestion({ suggestion, host }) {
  const open = useContext(ScriptContext);
  const { text, impact, issue_type: issueType, event_id: eventId, parameters } = suggestion;
  const ask = () => open({ key: `optimize ${text}`, issueType, host: host.name, eventId, parameters });
  return html`<li>
    <p><${HostText} text=${text} limit=${MOST_SHOWN} /></p>
    <p class="suggestion-foot">
      <span class="impact">${visibleText(impact)} impact</span>
      ${
        issueType &&
        html`<button type="button" class="small" onClick=${ask}><${Icon} name="script" />Make script…</button>`
      }
    </p>
  </li>`;
}

function named(resource) {
  return RESOURCES[resource] ?? visibleText(resource);
}
