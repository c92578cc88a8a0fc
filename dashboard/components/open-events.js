/** The events that are open. */

import { useState } from "preact/hooks";
import { html } from "../html.js";
import { SEVERITIES } from "../vocabulary.js";
import { EventCard } from "./event-card.js";
import { Icon } from "./icon.js";
import { Loaded } from "./notice.js";
import { Panel } from "./panel.js";

const SHOWN = 50;

/** The worst first, of equal ones the newest. */
export function OpenEvents({ open, isWanted, isFiltered, onUnfilter, withHost }) {
  const [shown, setShown] = useState(SHOWN);
  const all = open.data?.items ?? [];
  const wanted = all.filter(isWanted).sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
  const count = open.data && html`<${Count} all=${all} isMore=${open.data.next} />`;
  return html`<${Panel} title="Open events" id="open-events" data-testid="open-events" actions=${count}>
    <${Loaded} resource=${open} what="open events">
      ${() => {
        if (all.length === 0) return html`<p class="empty good"><${Icon} name="healthy" />No open events.</p>`;
        if (wanted.length === 0) {
          return html`<p class="empty">
            ${all.length} open, none of them passes the filter.
            <button type="button" class="quiet small" onClick=${onUnfilter}>Show all</button>
          </p>`;
        }
        return html`
          ${isFiltered && html`<p class="hint">${wanted.length} of ${all.length} pass the filter.</p>`}
          <ul class="events">
            ${wanted.slice(0, shown).map((event) => html`<${EventCard} key=${event.id} event=${event} withHost=${withHost} />`)}
          </ul>
          ${wanted.length > shown &&
          html`<button type="button" class="quiet small" onClick=${() => setShown(shown + SHOWN)}>
            Show ${Math.min(SHOWN, wanted.length - shown)} more
          </button>`}
        `;
      }}
    <//>
  <//>`;
}

function Count({ all, isMore }) {
  const by = SEVERITIES.map((severity) => [severity, all.filter((event) => event.severity === severity).length]);
  return html`<span class="count">
    ${by.filter(([, number]) => number > 0).map(([severity, number]) => html`<span class="tone-${severity}" key=${severity}>${number} ${severity}</span>`)}
    <b>${all.length}${isMore ? "+" : ""}</b>
  </span>`;
}
