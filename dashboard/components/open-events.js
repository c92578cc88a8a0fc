/** What is open: incidents first; under a filter, each event by itself. */

import { useState } from "preact/hooks";
import { ANY_EVENT, isWanted } from "../events.js";
import { html } from "../html.js";
import { SEVERITIES } from "../vocabulary.js";
import { Announcer } from "./announcer.js";
import { EventCard } from "./event-card.js";
import { EventFilter } from "./event-filter.js";
import { Icon } from "./icon.js";
import { IncidentCard } from "./incident-card.js";
import { Loaded } from "./notice.js";
import { Panel } from "./panel.js";

const SHOWN = 50;

/** What counts first, the worst of it first, of equal ones the newest; `events` is what useEvents gave. */
export function OpenEvents({ events }) {
  const { open, incidents, recent, filter, setFilter, types, withHost } = events;
  const [shown, setShown] = useState(SHOWN);
  const all = open.data?.items ?? [];
  const isFiltered = Object.values(filter).some((value) => value !== "");
  const wanted = all.filter((event) => isWanted(event, filter));
  const cards = (isFiltered ? wanted.map(alone) : together(all, incidents.data?.items ?? [], withHost)).sort(
    (a, b) => a.isMuted - b.isMuted || SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity),
  );
  const reload = () => {
    open.reload();
    incidents.reload();
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
            ${cards.slice(0, shown).map(({ key, incident, event, note }) =>
              event
                ? html`<${EventCard} key=${key} event=${event} withHost=${withHost} note=${note} onChanged=${reload} />`
                : html`<${IncidentCard} key=${key} incident=${incident} withHost=${withHost} onChanged=${reload} />`,
            )}
          </ul>
          ${
            cards.length > shown &&
            html`<button type="button" class="quiet small" onClick=${() => setShown(shown + SHOWN)}>
            Show ${Math.min(SHOWN, cards.length - shown)} more
          </button>`
          }
        `;
      }}
    <//>
  <//>`;
}

function alone(event, note = null) {
  return { key: `event ${event.id}`, event, note, isMuted: event.muted, severity: event.severity };
}

/** Return a card for each incident, and for each event that is one by itself, or in none that is shown here. */
function together(events, incidents, withHost) {
  // Of what happens on many hosts, the page of one shows that host's part.
  const grouped = new Map(
    incidents.filter((one) => one.events > 1 && (withHost || one.host !== null)).map((one) => [one.id, one]),
  );
  const elsewhere = new Map(incidents.filter((one) => one.hosts > 1).map((one) => [one.id, one.hosts - 1]));
  const single = events.filter((event) => !grouped.has(event.incident_id));
  return [
    ...[...grouped.values()].map((incident) => ({
      key: `incident ${incident.id}`,
      incident,
      isMuted: incident.muted_events === incident.open_events,
      severity: incident.severity,
    })),
    ...single.map((event) => alone(event, noteOf(elsewhere.get(event.incident_id)))),
  ];
}

function noteOf(others) {
  return others ? `The same on ${others} other ${others === 1 ? "host" : "hosts"}: see all hosts.` : null;
}

function Count({ all, isMore }) {
  const counting = all.filter((event) => !event.muted);
  const by = SEVERITIES.map((severity) => [severity, counting.filter((event) => event.severity === severity).length]);
  const there = by.filter(([, number]) => number > 0);
  const muted = all.length - counting.length;
  return html`<span class="count">
    ${there.map(([severity, number]) => html`<span class="tone-${severity}" key=${severity}>${number} ${severity}</span>`)}
    ${muted > 0 && html`<span class="tone-muted">${muted} muted</span>`}
    <b>${all.length}${isMore ? "+" : ""}</b>
  </span>`;
}
