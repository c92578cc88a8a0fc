/** What is wrong now, and what was: of one host, or of all. */

import { useState } from "preact/hooks";
import { listEvents, recentEvents } from "../api.js";
import { html } from "../html.js";
import { concerns } from "../live.js";
import { useResource } from "../resource.js";
import { Announcer } from "./announcer.js";
import { ANY_EVENT, EventFilter, isWanted } from "./event-filter.js";
import { OpenEvents } from "./open-events.js";
import { Timeline } from "./timeline.js";

const MOST_OPEN = 500;
const MOST_RECENT = 50;

/** Open events, and the timeline, under one filter; `host` null is all hosts. */
export function Events({ host }) {
  const [filter, setFilter] = useState(ANY_EVENT);
  const about = host ? host.id : null;
  const isAbout = (change) => concerns(change, "events", about);
  const open = useResource(
    `open events ${about}`,
    (signal) => listEvents({ host: about, state: "open", limit: MOST_OPEN }, signal),
    isAbout,
  );
  const recent = useResource(
    `recent events ${about} ${Object.values(filter)}`,
    (signal) => recentEvents({ host: about, ...filter, limit: MOST_RECENT }, signal),
    isAbout,
  );
  const types = [...new Set([...(open.data?.items ?? []), ...(recent.data?.events ?? [])].map((event) => event.type))];

  return html`
    <${Announcer} events=${open.data?.items} />
    <${EventFilter} filter=${filter} types=${types} onChange=${setFilter} />
    <${OpenEvents}
      open=${open}
      isWanted=${(event) => isWanted(event, filter)}
      isFiltered=${Object.values(filter).some((value) => value !== "")}
      onUnfilter=${() => setFilter(ANY_EVENT)}
      withHost=${host === null}
    />
    <${Timeline} recent=${recent} host=${host} onCleared=${recent.reload} />
  `;
}
