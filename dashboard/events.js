/** The events of a host, or of all: what is open, what was lately, and the filter over both. */

import { useState } from "preact/hooks";
import { listEvents, listIncidents, recentEvents } from "./api.js";
import { concerns } from "./live.js";
import { useResource } from "./resource.js";

const MOST_OPEN = 500;
const MOST_RECENT = 50;

/** The filter that lets every event through. */
export const ANY_EVENT = { type: "", severity: "", state: "", muted: "" };

/** Tell whether an event passes the filter. */
export function isWanted(event, filter) {
  return Object.entries(filter).every(([field, value]) => value === "" || String(event[field]) === value);
}

/** Return `{filter, setFilter, open, incidents, recent, types, withHost}` for a host; null is all hosts. */
export function useEvents(host) {
  const [filter, setFilter] = useState(ANY_EVENT);
  const id = host ? host.id : null;
  const isAbout = (change) => concerns(change, "events", id);
  const open = useResource(
    `open events ${id}`,
    (signal) => listEvents({ host: id, state: "open", limit: MOST_OPEN }, signal),
    isAbout,
  );
  const incidents = useResource(
    `open incidents ${id}`,
    (signal) => listIncidents({ host: id, state: "open", limit: MOST_OPEN }, signal),
    isAbout,
  );
  const recent = useResource(
    `recent events ${id} ${Object.values(filter)}`,
    (signal) => recentEvents({ host: id, ...filter, limit: MOST_RECENT }, signal),
    isAbout,
  );
  const types = [...new Set([...(open.data?.items ?? []), ...(recent.data?.events ?? [])].map((event) => event.type))];
  return { filter, setFilter, open, incidents, recent, types, withHost: host === null };
}
