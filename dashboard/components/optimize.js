/** What holds a host, or the fleet, back, and what would help. */

import { useState } from "preact/hooks";
import { optimize, serverNow } from "../api.js";
import { html } from "../html.js";
import { useResource } from "../resource.js";
import { visibleText } from "../visible.js";
import { RESOURCES } from "../vocabulary.js";
import { Finding } from "./finding.js";
import { HostText } from "./host-text.js";
import { Icon } from "./icon.js";
import { Loaded } from "./notice.js";
import { Panel } from "./panel.js";
import { Suggestion } from "./suggestion.js";

const MOST_SHOWN = 600;
const SHOWN = 3;
// An older one is of a host that has been silent since.
const OLD_MS = 900_000;

/** The diagnosis of a host, or of all for null: made anew every 30 seconds, and when asked for. */
export function Optimize({ host, onChoose = null }) {
  const [all, setAll] = useState(false);
  const reference = host?.id ?? "*";
  const diagnosis = useResource(
    `optimize ${reference}`,
    (signal) => optimize(reference, signal),
    (change) => change.topic === "all",
  );
  const actions = html`<button type="button" class="quiet small" onClick=${diagnosis.reload}>
    <${Icon} name="refresh" />Look again
  </button>`;
  return html`<${Panel} title="Bottleneck" id="optimize" data-testid="optimize" actions=${actions}>
    <${Loaded} resource=${diagnosis} what="the diagnosis" rows=${4}>
      ${({ bottleneck, summary, as_of: asOf, findings, suggestions }) => html`
        <${Bottleneck} resource=${bottleneck} />
        ${
          (bottleneck === "none" || serverNow() - Date.parse(asOf) > OLD_MS) &&
          html`<p class="hint"><${HostText} text=${summary} limit=${MOST_SHOWN} /></p>`
        }
        ${
          findings.length > 0 &&
          html`<ul class="findings">
          ${findings.map((one) => html`<${Finding} key=${one.resource} finding=${one} />`)}
        </ul>`
        }
        ${
          suggestions.length > 0 &&
          html`<ol class="suggestions">
          ${suggestions.slice(0, all ? undefined : SHOWN).map(
            (one) => html`<${Suggestion}
              key=${`${one.host} ${one.text}`}
              suggestion=${one}
              host=${one.host ?? host.name}
              onChoose=${onChoose}
            />`,
          )}
        </ol>`
        }
        ${
          suggestions.length > SHOWN &&
          html`<button type="button" class="quiet small" onClick=${() => setAll(!all)}>
            ${all ? "Show fewer" : `Show all ${suggestions.length}`}
          </button>`
        }
      `}
    <//>
  <//>`;
}

function Bottleneck({ resource }) {
  if (resource === "none") return html`<p class="bottleneck good"><${Icon} name="healthy" />No bottleneck</p>`;
  return html`<p class="bottleneck">${RESOURCES[resource] ?? visibleText(resource)}</p>`;
}
