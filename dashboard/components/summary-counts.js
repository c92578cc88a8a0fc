/** The fleet in numbers. */

import { fleetSummary } from "../api.js";
import { count } from "../format.js";
import { html } from "../html.js";
import { concerns } from "../live.js";
import { useResource } from "../resource.js";
import { HEALTH, SEVERITIES } from "../vocabulary.js";
import { Icon } from "./icon.js";
import { Loaded } from "./notice.js";

const HEALTHS = ["critical", "warning", "healthy", "unknown"];

/** Hosts by health and open events by severity, of all hosts. */
export function SummaryCounts() {
  const summary = useResource("fleet summary", fleetSummary, (change) => concerns(change, "events"));
  return html`<${Loaded} resource=${summary} what="the summary" rows=${1}>
    ${({ hosts, events }) => html`<section class="counts" aria-label="Fleet">
      <dl>
        <div class="count-of"><dt>${hosts.total === 1 ? "host" : "hosts"}</dt><dd>${count(hosts.total)}</dd></div>
        ${HEALTHS.filter((health) => hosts[health] > 0).map(
          (health) => html`<div class="count-of tone-${health}" key=${health}>
            <dt><${Icon} name=${health} />${HEALTH[health].toLowerCase()}</dt><dd>${count(hosts[health])}</dd>
          </div>`,
        )}
      </dl>
      <dl>
        <div class="count-of"><dt>open events</dt><dd>${count(events.open)}</dd></div>
        ${SEVERITIES.filter((severity) => events.by_severity[severity] > 0).map(
          (severity) => html`<div class="count-of tone-${severity}" key=${severity}>
            <dt><${Icon} name=${severity} />${severity}</dt><dd>${count(events.by_severity[severity])}</dd>
          </div>`,
        )}
      </dl>
    </section>`}
  <//>`;
}
