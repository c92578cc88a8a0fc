/** The events that are open, under the filter. */

import { useState } from "preact/hooks";
import { ANY_EVENT, isWanted } from "../events.js";
import { html } from "../html.js";
import { SEVERITIES } from "../vocabulary.js";
import { Announcer } from "./announcer.js";
import { EventCard } from "./event-card.js";
import { EventFilter } from "./event-filter.js";
import { Icon } from "./icon.js";
import { Loaded } from "./notice.js";
import { Panel } from "./panel.js";

const SHOWN = 50;

/** The worst first, of equal ones the newest; `events` is what useEvents gave. */
export function OpenEvents({ events }) {
  const { open, recent, filter, setFilter, types, withHost } = events;
  const [shown, setShown] = useState(SHOWN);
  const all = open.data?.items ?? [];
  const isFiltered = Object.values(filter).some((value) => value !== "");
  const wanted = all
    .filter((event) => isWanted(event, filter))
    .sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
  const reload = () => {
    open.reload();
    recent.reload();
  };
  const count = open.data && html`<${Count} all=${all} isMore=${open.data.next} />`;
  return html`
    <${Announcer} events=${open.data?.items} />
    <${EventFilter} filter=${filter} types=${types} onChange=${setFilter} />
    <${Panel} title="Open events" id="open-events" data-testid="open-events" actions=${count}>
    <${Loaded} resource=${open} what="open events">
      ${() => {
        if (all.length === 0) return html`<p class="empty good"><${Icon} name="healthy" />No open events.</p>`;
        if (wanted.length === 0) {
          return html`<p class="empty">
            ${all.length} open, none of them passes the filter.
            <button type="button" class="quiet small" onClick=${() => setFilter(ANY_EVENT)}>Show all</button>
          </p>`;
        }
        return html`
          ${isFiltered && html`<p class="hint">${wanted.length} of ${all.length} pass the filter.</p>`}
          <ul class="events">
            ${wanted
              .slice(0, shown)
              .map((event) => html`<${EventCard} key=${event.id} event=${event} withHost=${withHost} onChanged=${reload} />`)}
          </ul>
          ${
            wanted.length > shown &&
            html`<button type="button" class="quiet small" onClick=${() => setShown(shown + SHOWN)}>
            Show ${Math.min(SHOWN, wanted.length - shown)} more
          </button>`
          }
        `;
      }}
    <//>
  <//>`;
}

function Count({ all, isMore }) {
  const by = SEVERITIES.map((severity) => [severity, all.filter((event) => event.severity === severity).length]);
  const there = by.filter(([, number]) => number > 0);
  return html`<span class="count">
    ${there.map(([severity, number]) => html`<span class="tone-${severity}" key=${severity}>${number} ${severity}</span>`)}
    <b>${all.length}${isMore ? "+" : ""}</b>
  </span>`;
}
