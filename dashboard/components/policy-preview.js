/** What a policy would have opened, beside what holds now and what did open. */

import { duration } from "../format.js";
import { html } from "../html.js";
import { HostText } from "./host-text.js";
import { Loading } from "./notice.js";
import { Panel } from "./panel.js";

const SIDES = [
  ["proposed", "As proposed"],
  ["present", "As it is"],
  ["recorded", "Did open"],
];

const SPANS = [
  [24, "a day"],
  [168, "a week"],
  [720, "30 days"],
];

/** `state` is that of the action that asks for it, `hours` how far it looks back. */
export function PolicyPreview({ state, hours, onHours }) {
  const choice = html`<span class="choice">
    <label for="preview-hours">Look back</label>
    <select id="preview-hours" value=${hours} onChange=${(event) => onHours(Number(event.target.value))}>
      ${SPANS.map(([span, word]) => html`<option key=${span} value=${span} selected=${span === hours}>${word}</option>`)}
    </select>
  </span>`;
  return html`<${Panel} title="Preview" id="preview" actions=${choice} aria-live="polite">
    ${state.busy && html`<${Loading} what="the preview" />`}
    ${
      !state.busy && !state.done &&
      html`<p class="hint">A preview replays what is stored as if this were saved. Nothing is saved by it.</p>`
    }
    ${!state.busy && state.done && html`<${Result} preview=${state.done} />`}
  <//>`;
}

function Result({ preview }) {
  const days = (Date.parse(preview.to) - Date.parse(preview.from)) / 1000;
  return html`
    <p class="hint">The last ${duration(days)}, of ${preview.hosts} ${preview.hosts === 1 ? "host" : "hosts"}.</p>
    <div class="table-frame" tabindex="0" role="region" aria-label="Preview">
      <table class="preview">
        <thead>
          <tr>
            <th scope="col"><span class="for-screen-readers">Host</span></th>
            ${SIDES.map(([side, title]) => html`<th key=${side} scope="col" class="number">${title}</th>`)}
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">Events</th>
            ${SIDES.map(([side]) => html`<td key=${side} class="number">${preview[side]?.events ?? "not known"}</td>`)}
          </tr>
          <tr>
            <th scope="row">Hosts</th>
            ${SIDES.map(([side]) => html`<td key=${side} class="number">${preview[side]?.hosts ?? ""}</td>`)}
          </tr>
          <tr>
            <th scope="row">Open in all</th>
            ${SIDES.map(
              ([side]) => html`<td key=${side} class="number">
                ${preview[side] ? duration(preview[side].open_seconds) : ""}
              </td>`,
            )}
          </tr>
          ${preview.by_host.map(
            (host) => html`<tr key=${host.id}>
              <th scope="row"><${HostText} text=${host.name} limit=${40} /></th>
              ${SIDES.map(
                ([side]) => html`<td key=${side} class="number">
                  ${preview[side] ? `${host[side].events}, ${duration(host[side].open_seconds)}` : ""}
                </td>`,
              )}
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${preview.notes.map((note) => html`<p key=${note} class="hint">${note}</p>`)}
  `;
}
