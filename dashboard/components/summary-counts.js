/** The fleet in numbers. */

import { count } from "../format.js";
import { html } from "../html.js";
import { HEALTH, SEVERITIES } from "../vocabulary.js";
import { Icon } from "./icon.js";

const HEALTHS = ["critical", "warning", "healthy", "unknown"];

/** Hosts by health and open events by severity, of all hosts: those that there are any of. */
export function SummaryCounts({ hosts, events }) {
  const healths = HEALTHS.filter((health) => hosts[health] > 0);
  const severities = SEVERITIES.filter((severity) => events.by_severity[severity] > 0);
  return html`<section class="counts" aria-label="Counts of the fleet">
    <dl>
      <${Count} word=${hosts.total === 1 ? "host" : "hosts"} number=${hosts.total} />
      ${healths.map(
        (one) => html`<${Count} key=${one} tone=${one} word=${HEALTH[one].toLowerCase()} number=${hosts[one]} />`,
      )}
    </dl>
    <dl>
      <${Count} word=${events.open === 1 ? "open event" : "open events"} number=${events.open} />
      ${severities.map(
        (one) => html`<${Count} key=${one} tone=${one} word=${one} number=${events.by_severity[one]} />`,
      )}
      ${events.muted > 0 && html`<${Count} tone="muted" word="muted" number=${events.muted} />`}
    </dl>
  </section>`;
}

function Count({ word, number, tone = null }) {
  return html`<div class="count-of ${tone ? `tone-${tone}` : ""}">
    <dt>${tone && html`<${Icon} name=${tone} />`}${word}</dt>
    <dd>${count(number)}</dd>
  </div>`;
}
