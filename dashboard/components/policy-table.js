/** The policies that are in force, by scope. */

import { html } from "../html.js";
import { eventType } from "../vocabulary.js";
import { Ago } from "./ago.js";
import { HostText } from "./host-text.js";
import { Panel } from "./panel.js";
import { settingsInWords } from "./policy-words.js";

const SCOPES = [
  ["fleet", "Fleet"],
  ["tag", "Tags"],
  ["host", "Hosts"],
];

/** A panel for each scope that has any. */
export function PolicyTable({ policies, types, onEdit }) {
  if (policies.length === 0) {
    return html`<p class="empty">No policies yet: the defaults hold for every host. They are in the fields of a new policy.</p>`;
  }
  return SCOPES.map(([scope, title]) => {
    const mine = policies.filter((policy) => policy.scope === scope);
    if (mine.length === 0) return null;
    return html`<${Panel} key=${scope} title=${title} id="policies-${scope}">
      <div class="table-frame" tabindex="0" role="region" aria-label="Policies: ${title}">
        <table class="policies">
          <thead>
            <tr>
              ${scope !== "fleet" && html`<th scope="col">${scope === "tag" ? "Tag" : "Host"}</th>`}
              <th scope="col">Event</th>
              <th scope="col">Sets</th>
              <th scope="col" class="wide-only">Changed</th>
            </tr>
          </thead>
          <tbody>
            ${mine.map(
              (policy) => html`<${Row} key=${policy.id} policy=${policy} types=${types} onEdit=${onEdit} />`,
            )}
          </tbody>
        </table>
      </div>
    <//>`;
  });
}

function Row({ policy, types, onEdit }) {
  const type = types.find((one) => one.type === policy.type);
  return html`<tr>
    ${policy.scope !== "fleet" && html`<td><${HostText} text=${policy.tag ?? policy.host} limit=${40} /></td>`}
    <th scope="row">
      <button type="button" class="link" onClick=${() => onEdit(policy)}>${eventType(policy.type).title}</button>
      ${policy.subject && html`<div class="hint"><${HostText} text=${policy.subject} limit=${60} /></div>`}
    </th>
    <td>${settingsInWords(policy, type)}</td>
    <td class="wide-only"><${Ago} at=${policy.changed_at} /> by <${HostText} text=${policy.changed_by} /></td>
  </tr>`;
}
