/** Tells screen readers of events that open while the page is shown. */

import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";
import { visibleText } from "../visible.js";
import { eventType } from "../vocabulary.js";

const MOST_NAMED = 3;

/** Says what is new in `events` since the list was there first. */
export function Announcer({ events }) {
  const known = useRef(null);
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (!events) return;
    const ids = new Set(events.map((event) => event.id));
    const fresh = known.current === null ? [] : events.filter((event) => !known.current.has(event.id));
    known.current = ids;
    if (fresh.length > 0) setSaid(sentence(fresh));
  }, [events]);
  return html`<div class="for-screen-readers" aria-live="polite">${said}</div>`;
}

function sentence(fresh) {
  const named = fresh
    .slice(0, MOST_NAMED)
    .map((event) => `${event.severity}: ${eventType(event.type).title}, ${visibleText(event.subject, 60)}`);
  const rest = fresh.length - named.length;
  return `New ${fresh.length === 1 ? "event" : "events"}. ${named.join(". ")}${rest > 0 ? `, and ${rest} more` : ""}.`;
}
