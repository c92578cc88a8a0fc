/** One parameter of a remedy, as a field of a form. */

import { html } from "../html.js";
import { visibleText } from "../visible.js";

/** `value` is null where none is given: the default holds then. `fault` is what the API said of it. */
export function ParameterField({ parameter, value, fault, onChange }) {
  const id = `parameter-${parameter.name}`;
  return html`<div class="field ${fault ? "is-wrong" : ""}">
    <label for=${id}>${visibleText(parameter.label ?? parameter.name)}${parameter.required ? " (needed)" : ""}</label>
    <${Input} id=${id} parameter=${parameter} value=${value} onChange=${onChange} />
    <p class="hint" id="${id}-hint">${visibleText(parameter.description)}${bounds(parameter)}</p>
    ${fault && html`<p class="action-error" role="alert">${fault}</p>`}
  </div>`;
}

function Input({ id, parameter, value, onChange }) {
  const shared = { id, required: parameter.required, "aria-describedby": `${id}-hint` };
  if (parameter.type === "boolean" || parameter.choices?.length > 0) {
    const choices = parameter.type === "boolean" ? ["true", "false"] : parameter.choices;
    const read = (text) => (text === "" ? null : parameter.type === "boolean" ? text === "true" : text);
    const chosen = value === null ? "" : String(value);
    return html`<select ...${shared} value=${chosen} onChange=${(event) => onChange(read(event.target.value))}>
      <option value="">${parameter.default === null ? "none" : `default: ${parameter.default}`}</option>
      ${choices.map(
        (choice) => html`<option key=${choice} value=${choice} selected=${choice === chosen}>${choice}</option>`,
      )}
    </select>`;
  }
  const placeholder = parameter.default === null ? "" : String(parameter.default);
  if (parameter.type === "string") {
    return html`<input
      ...${shared}
      type="text"
      spellcheck="false"
      maxlength=${parameter.max_length}
      placeholder=${placeholder}
      value=${value ?? ""}
      onInput=${(event) => onChange(event.target.value || null)}
    />`;
  }
  return html`<input
    ...${shared}
    type="number"
    inputmode="decimal"
    min=${parameter.minimum}
    max=${parameter.maximum}
    step=${parameter.type === "integer" ? 1 : "any"}
    placeholder=${placeholder}
    value=${value ?? ""}
    onInput=${(event) => onChange(event.target.value === "" ? null : Number(event.target.value))}
  />`;
}

// Such a maximum only keeps a number in its type, and tells a reader nothing.
const NO_MAXIMUM = 1e9;

function bounds({ type, minimum = null, maximum: most = null }) {
  const maximum = most !== null && most > NO_MAXIMUM ? null : most;
  if (type !== "integer" && type !== "number") return "";
  if (minimum !== null && maximum !== null) return ` (${minimum} to ${maximum})`;
  if (minimum !== null) return ` (at least ${minimum})`;
  return maximum === null ? "" : ` (at most ${maximum})`;
}
