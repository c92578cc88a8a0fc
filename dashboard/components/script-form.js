/** Asking for a script: a remedy and its parameters. */

import { useState } from "preact/hooks";
import { html } from "../html.js";
import { visibleText } from "../visible.js";
import { SCRIPT_TYPES } from "../vocabulary.js";
import { HostText } from "./host-text.js";
import { Notice } from "./notice.js";
import { ParameterField } from "./parameter-field.js";

const BUILT_IN = "built-in";

/** A form made from the catalogue of remedies; `asked` fills it in. `faults` are of remedies that are left out. */
export function ScriptForm({ asked, templates, faults, state, onGenerate, onCancel }) {
  const wanted = asked.issueType ?? asked.event?.type;
  const [issueType, setIssueType] = useState(
    (
      templates.find((one) => one.issue_type === wanted) ??
      templates.find((one) => one.events.includes(wanted)) ??
      templates[0]
    )?.issue_type,
  );
  const [scriptType, setScriptType] = useState(asked.scriptType ?? "");
  const [values, setValues] = useState(asked.parameters ?? {});
  const remedy = templates.find((one) => one.issue_type === issueType);
  if (!remedy) {
    return html`
      <h2 id="script-title">Script</h2>
      <${Notice} tone="warning">No remedies are there yet: a worker publishes them when it starts.<//>
      <${LeftOut} faults=${faults} />
    `;
  }
  const host = asked.host ?? asked.event?.host ?? undefined;

  function submit(event) {
    event.preventDefault();
    const known = remedy.parameters.map((parameter) => parameter.name);
    const given = Object.entries(values).filter(
      ([name, value]) => known.includes(name) && value !== "" && value !== null,
    );
    onGenerate({
      issue_type: issueType,
      script_type: scriptType || undefined,
      host,
      event_id: asked.eventId ?? asked.event?.id,
      parameters: Object.fromEntries(given),
    });
  }

  const faultAt = (name) => (state.error?.field?.split(".").at(-1) === name ? state.error.message : null);
  const hasPlace = remedy.parameters.some((parameter) => faultAt(parameter.name));
  return html`<form class="script-form" onSubmit=${submit}>
    <header class="script-head">
      <h2 id="script-title">Make a script</h2>
      ${host && html`<p class="hint">for <${HostText} text=${host} /></p>`}
    </header>
    <div class="field">
      <label for="remedy">Remedy</label>
      <select id="remedy" value=${issueType} onChange=${(event) => setIssueType(event.target.value)}>
        ${templates.map(
          (one) => html`<option key=${one.issue_type} value=${one.issue_type} selected=${one === remedy}>
            ${visibleText(one.title)}
          </option>`,
        )}
      </select>
    </div>
    <p>${visibleText(remedy.description)}</p>
    <p class="facts">
      <span>Risk: ${remedy.risk}</span>
      <span>Administrator: ${remedy.requires_admin ? "needed" : "not needed"}</span>
      ${remedy.source !== BUILT_IN && html`<span>Yours: <${HostText} text=${remedy.source} limit=${400} /></span>`}
    </p>
    <div class="fields">
      <div class="field">
        <label for="script-type">Script type</label>
        <select id="script-type" value=${scriptType} onChange=${(event) => setScriptType(event.target.value)}>
          <option value="">as the host needs it</option>
          ${remedy.script_types.map(
            (type) => html`<option key=${type} value=${type} selected=${type === scriptType}>
              ${SCRIPT_TYPES[type] ?? type}
            </option>`,
          )}
        </select>
      </div>
      ${remedy.parameters.map(
        (parameter) => html`<${ParameterField}
          key=${`${issueType} ${parameter.name}`}
          parameter=${parameter}
          value=${values[parameter.name] ?? null}
          fault=${faultAt(parameter.name)}
          onChange=${(value) => setValues((old) => ({ ...old, [parameter.name]: value }))}
        />`,
      )}
    </div>
    <${LeftOut} faults=${faults} />
    ${state.error && !hasPlace && html`<${Notice} tone="error">${state.error.message}<//>`}
    <div class="form-actions">
      <button type="submit" class="primary" disabled=${state.busy}>${state.busy ? "Making…" : "Make script"}</button>
      ${onCancel && html`<button type="button" onClick=${onCancel}>Back</button>`}
    </div>
  </form>`;
}

function LeftOut({ faults }) {
  return faults.map(
    ({ folder, fault }) => html`<${Notice} key=${`${folder} ${fault}`} tone="warning">
      Left out: <code><${HostText} text=${folder} limit=${400} /></code>. <${HostText} text=${fault} limit=${500} />
    <//>`,
  );
}
