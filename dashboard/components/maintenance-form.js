/** Announcing maintenance: of what, how long, why. */

import { useEffect, useState } from "preact/hooks";
import { html } from "../html.js";
import { HostText } from "./host-text.js";
import { Notice } from "./notice.js";

const LENGTHS = [
  ["1", "1 hour"],
  ["2", "2 hours"],
  ["4", "4 hours"],
  ["8", "8 hours"],
  ["24", "1 day"],
  ["168", "1 week"],
  ["until", "until…"],
  ["forever", "for ever"],
];

/** `host` is null where the fleet or a tag is meant; `state` is that of the request. */
export function MaintenanceForm({ host, state, onAnnounce }) {
  const [scope, setScope] = useState("fleet");
  const [tag, setTag] = useState("");
  const [length, setLength] = useState("1");
  const [until, setUntil] = useState("");
  const [start, setStart] = useState("");
  const [reason, setReason] = useState("");
  useEffect(() => state.done && setReason(""), [state.done]);

  function submit(event) {
    event.preventDefault();
    onAnnounce({
      ...(host ? { host: host.id } : scope === "tag" ? { tag } : { host: "*" }),
      ...(length === "until" ? { until: moment(until) } : length === "forever" ? { forever: true } : { hours: Number(length) }),
      ...(start ? { starts_at: moment(start) } : {}),
      reason,
    });
  }

  return html`<form class="maintenance-form" onSubmit=${submit}>
    <div class="fields">
      ${
        host
          ? html`<div class="field"><span class="label">Host</span><p><${HostText} text=${host.name} /></p></div>`
          : html`<${Scope} scope=${scope} onScope=${setScope} tag=${tag} onTag=${setTag} />`
      }
      <div class="field">
        <label for="maintenance-length">For</label>
        <select id="maintenance-length" value=${length} onChange=${(event) => setLength(event.target.value)}>
          ${LENGTHS.map(([value, words]) => html`<option key=${value} value=${value}>${words}</option>`)}
        </select>
      </div>
      ${
        length === "until" &&
        html`<${Time} id="maintenance-until" label="Until" value=${until} required onInput=${setUntil} />`
      }
      <${Time} id="maintenance-start" label="From (now, if empty)" value=${start} onInput=${setStart} />
    </div>
    <div class="field">
      <label for="maintenance-reason">Reason</label>
      <input id="maintenance-reason" type="text" required maxlength="1024" value=${reason}
        onInput=${(event) => setReason(event.target.value)} />
    </div>
    ${state.error && html`<${Notice} tone="error">${state.error.message}<//>`}
    <div class="form-actions">
      <button type="submit" class="primary" disabled=${state.busy}>${state.busy ? "Announcing…" : "Announce"}</button>
    </div>
  </form>`;
}

function Scope({ scope, onScope, tag, onTag }) {
  return html`
    <div class="field">
      <label for="maintenance-scope">Of</label>
      <select id="maintenance-scope" value=${scope} onChange=${(event) => onScope(event.target.value)}>
        <option value="fleet">the whole fleet</option>
        <option value="tag">the hosts with a tag</option>
      </select>
    </div>
    ${
      scope === "tag" &&
      html`<div class="field">
      <label for="maintenance-tag">Tag</label>
      <input id="maintenance-tag" type="text" required maxlength="64" spellcheck="false" value=${tag}
        onInput=${(event) => onTag(event.target.value)} />
    </div>`
    }
  `;
}

function Time({ id, label, value, required = false, onInput }) {
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <input id=${id} type="datetime-local" required=${required} value=${value}
      onInput=${(event) => onInput(event.target.value)} />
  </div>`;
}

/** The moment that a field of local time holds, with its zone. */
function moment(local) {
  return new Date(local).toISOString();
}
