/** What slows a host down, and what would help. */

import { useContext } from "preact/hooks";
import { optimize } from "../api.js";
import { html } from "../html.js";
import { useResource } from "../resource.js";
import { visibleText } from "../visible.js";
import { BOTTLENECKS } from "../vocabulary.js";
import { HostText } from "./host-text.js";
import { Icon } from "./icon.js";
import { Loaded } from "./notice.js";
import { Panel } from "./panel.js";
import { ScriptContext } from "./script-context.js";

const MOST_SHOWN = 400;

/** The analysis of a host's recent history: made when asked for, and every 30 seconds. */
export function Optimize({ host }) {
  const analysis = useResource(
    `optimize ${host.id}`,
    (signal) => optimize(host.id, signal),
    (change) => change.topic === "all",
  );
  const actions = html`<button type="button" class="quiet small" onClick=${analysis.reload}><${Icon} name="refresh" />Look again</button>`;
  return html`<${Panel} title="Bottleneck" id="optimize" data-testid="optimize" actions=${actions}>
    <${Loaded} resource=${analysis} what="the analysis" rows=${4}>
      ${(found) => html`<${Findings} found=${found} host=${host} />`}
    <//>
  <//>`;
}

function Findings({ found, host }) {
  const open = useContext(ScriptContext);
  const ask = (one) =>
    open({ key: `optimize ${one.issue_type}`, issueType: one.issue_type, host: host.name, parameters: one.parameters });
  return html`
    <p class="bottleneck ${found.bottleneck && found.bottleneck !== "none" ? "" : "good"}">
      ${found.bottleneck && found.bottleneck !== "none" ? (BOTTLENECKS[found.bottleneck] ?? visibleText(found.bottleneck)) : html`<${Icon} name="healthy" />No bottleneck`}
    </p>
    ${
      found.findings.length > 0 &&
      html`<ul class="findings">${found.findings.map((one, i) => html`<li key=${i}><${HostText} text=${textOf(one)} limit=${MOST_SHOWN} /></li>`)}</ul>`
    }
    ${
      found.suggestions.length > 0 &&
      html`<ol class="suggestions">
      ${found.suggestions.map(
        (one, i) => html`<li key=${i}>
          <p><${HostText} text=${one.text} limit=${MOST_SHOWN} /></p>
          <p class="suggestion-foot">
            <span class="impact impact-${one.impact}">${visibleText(String(one.impact))}${["high", "medium", "low"].includes(one.impact) ? " impact" : ""}</span>
            ${one.issue_type && html`<button type="button" class="small" onClick=${() => ask(one)}><${Icon} name="script" />Make script…</button>`}
          </p>
        </li>`,
      )}
    </ol>`
    }
  `;
}

function textOf(finding) {
  return typeof finding === "string" ? finding : (finding.text ?? JSON.stringify(finding));
}
