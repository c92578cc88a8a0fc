/** What became of the host's snapshots: how many, and which are missing, from when to when and why. */

import { count } from "../format.js";
import { html } from "../html.js";
import { At } from "./ago.js";
import { HostText } from "./host-text.js";
import { Panel } from "./panel.js";

const ALWAYS = [
  ["sent", "Sent"],
  ["committed", "Stored"],
  ["evaluated", "Checked by all rules"],
];
const WHERE_ANY = [
  ["outstanding", "Awaited"],
  ["dropped", "Dropped by the host"],
  ["lost", "Never came"],
  ["dead_lettered", "Unreadable"],
  ["throttled", "Passed over: too many"],
];
const STATE = { open: "awaited", declared: "dropped", ended: "numbered anew" };

/** The numbers of this host, and its newest gaps. */
export function Delivery({ host }) {
  const { gaps, ...numbers } = host.ledger;
  const shown = [...ALWAYS, ...WHERE_ANY.filter(([name]) => numbers[name] > 0)];
  return html`<${Panel} title="Delivery" id="delivery">
    <dl class="delivery">
      ${shown.map(([name, label]) => html`<div key=${name}><dt>${label}</dt><dd>${count(numbers[name])}</dd></div>`)}
    </dl>
    ${gaps.length === 0 ? html`<p class="empty">No snapshot is missing.</p>` : html`<${Gaps} gaps=${gaps} />`}
  <//>`;
}

function Gaps({ gaps }) {
  return html`<div class="table-frame" tabindex="0" role="region" aria-label="Table of gaps">
    <table>
      <thead>
        <tr>
          <th scope="col">Missing</th>
          <th scope="col" class="number">Snapshots</th>
          <th scope="col">Between</th>
          <th scope="col">Reason</th>
        </tr>
      </thead>
      <tbody>
        ${gaps.map((gap) => html`<${Gap} key=${`${gap.incarnation} ${gap.first_sequence}`} gap=${gap} />`)}
      </tbody>
    </table>
  </div>`;
}

function Gap({ gap }) {
  return html`<tr>
    <th scope="row">${STATE[gap.state]}</th>
    <td class="number">${gap.at_least ? `${count(gap.count)} or more` : count(gap.count)}</td>
    <td><${Moment} at=${gap.from} /> – <${Moment} at=${gap.to} /></td>
    <td><${HostText} text=${gap.reason} limit=${100} /></td>
  </tr>`;
}

function Moment({ at }) {
  return at === null ? html`<span>unknown</span>` : html`<${At} at=${at} />`;
}
