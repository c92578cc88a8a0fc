/** Narrowing the events down. */

import { ANY_EVENT } from "../events.js";
import { html } from "../html.js";
import { visibleText } from "../visible.js";
import { EVENT_TYPES, SEVERITIES, eventType } from "../vocabulary.js";

/** Four lists; `types` are those that there are, for the ones this page does not know. */
export function EventFilter({ filter, types, onChange }) {
  const known = [...new Set([...Object.keys(EVENT_TYPES), ...types])];
  const isSet = Object.values(filter).some((value) => value !== "");
  const set = (field) => (value) => onChange({ ...filter, [field]: value });
  return html`<div class="filter" role="group" aria-label="Filter events">
    <${Choice} id="filter-type" label="Type" value=${filter.type} onChoose=${set("type")}
      options=${known.map((type) => [type, visibleText(eventType(type).title)])} />
    <${Choice} id="filter-severity" label="Severity" value=${filter.severity} onChoose=${set("severity")}
      options=${SEVERITIES.map((severity) => [severity, severity])} />
    <${Choice} id="filter-state" label="State" value=${filter.state} onChoose=${set("state")}
      options=${[
        ["open", "open"],
        ["resolved", "resolved"],
      ]} />
    <${Choice} id="filter-muted" label="Muted" value=${filter.muted} onChoose=${set("muted")}
      options=${[
        ["false", "no"],
        ["true", "yes"],
      ]} />
    ${isSet && html`<button type="button" class="quiet small" onClick=${() => onChange(ANY_EVENT)}>Show all</button>`}
  </div>`;
}

function Choice({ id, label, value, options, onChoose }) {
  return html`<div class="choice">
    <label for=${id}>${label}</label>
    <select id=${id} value=${value} onChange=${(event) => onChoose(event.target.value)}>
      <option value="">any</option>
      ${options.map(([one, title]) => html`<option key=${one} value=${one}>${title}</option>`)}
    </select>
  </div>`;
}
