/** The fields of a policy. */

import { html } from "../html.js";
import { eventType, SEVERITIES } from "../vocabulary.js";
import { visibleText } from "../visible.js";
import { ParameterField } from "./parameter-field.js";
import { labelOf } from "./policy-words.js";

const INHERITED = "inherited";

/** What a policy is of is fixed once it is saved. `error` is what the API said, with the field at fault. */
export function PolicyForm({ draft, type, types, isNew, error, onChange }) {
  const change = (name, value) => onChange({ ...draft, [name]: value });
  const faultAt = (name) => (error?.field === name ? error.message : null);
  return html`
    <div class="fields">
      <${Choice} name="scope" label="For" draft=${draft} disabled=${!isNew} onChange=${change} fault=${faultAt("scope")}
        options=${[["fleet", "the fleet"], ["tag", "a tag"], ["host", "a host"]]} />
      ${
        draft.scope !== "fleet" &&
        html`<${Line} name=${draft.scope} label=${draft.scope === "tag" ? "Tag" : "Host"} draft=${draft}
          disabled=${!isNew} onChange=${change} fault=${faultAt(draft.scope)} />`
      }
      <${Choice} name="type" label="Event" draft=${draft} disabled=${!isNew} onChange=${change} fault=${faultAt("type")}
        options=${types.map((one) => [one.type, eventType(one.type).title])} />
      ${
        type?.subject &&
        html`<${Line} name="subject" label="Only this ${type.subject}" draft=${draft} disabled=${!isNew}
          hint="Its name, or a pattern with * and ?. Empty for every one." onChange=${change}
          fault=${faultAt("subject")} />`
      }
    </div>
    <div class="fields">
      <${Choice} name="enabled" label="On or off" draft=${draft} onChange=${change} fault=${faultAt("enabled")}
        options=${[["", INHERITED], ["true", "on"], ["false", "off"]]} read=${(text) => (text ? text === "true" : null)} />
      ${Object.entries(type?.numbers ?? {}).map(
        ([name, bounds]) => html`<${ParameterField}
          key=${`${type.type} ${name}`}
          parameter=${{ ...bounds, name, label: labelOf(name), type: "number", required: false, description: bounds.unit }}
          value=${draft[name] ?? null}
          fault=${faultAt(name)}
          onChange=${(value) => change(name, value)}
        />`,
      )}
      <${Choice} name="severity" label="Severity" draft=${draft} onChange=${change} fault=${faultAt("severity")}
        options=${[["", INHERITED], ...SEVERITIES.map((one) => [one, one])]} read=${(text) => text || null} />
    </div>
  `;
}

function Choice({ name, label, draft, options, onChange, fault, disabled = false, read = (text) => text }) {
  const chosen = draft[name] === null || draft[name] === undefined ? "" : String(draft[name]);
  return html`<div class="field ${fault ? "is-wrong" : ""}">
    <label for="policy-${name}">${label}</label>
    <select
      id="policy-${name}"
      value=${chosen}
      disabled=${disabled}
      onChange=${(event) => onChange(name, read(event.target.value))}
    >
      ${options.map(
        ([value, word]) => html`<option key=${value} value=${value} selected=${value === chosen}>${word}</option>`,
      )}
    </select>
    ${fault && html`<p class="action-error" role="alert">${visibleText(fault)}</p>`}
  </div>`;
}

function Line({ name, label, draft, onChange, fault, hint = null, disabled = false }) {
  return html`<div class="field ${fault ? "is-wrong" : ""}">
    <label for="policy-${name}">${label}</label>
    <input
      id="policy-${name}"
      type="text"
      spellcheck="false"
      maxlength="1024"
      value=${draft[name] ?? ""}
      disabled=${disabled}
      onInput=${(event) => onChange(name, event.target.value)}
    />
    ${hint && html`<p class="hint">${hint}</p>`}
    ${fault && html`<p class="action-error" role="alert">${visibleText(fault)}</p>`}
  </div>`;
}
