/** One open incident: events that belong together. */

import { useState } from "preact/hooks";
import { listEvents } from "../api.js";
import { html } from "../html.js";
import { concerns } from "../live.js";
import { useResource } from "../resource.js";
import { visibleText } from "../visible.js";
import { eventType } from "../vocabulary.js";
import { Ago } from "./ago.js";
import { SeverityBadge } from "./badges.js";
import { EventCard } from "./event-card.js";
import { FixScript } from "./fix-script.js";
import { HostText } from "./host-text.js";
import { Icon } from "./icon.js";
import { Loaded } from "./notice.js";

const MOST_MEMBERS = 100;

/** What happened, where, how much of it, why, the way to its script, and on demand each of its events. */
export function IncidentCard({ incident, withHost, onChanged }) {
  const [isShown, setShown] = useState(false);
  const { cause } = incident;
  const isMuted = incident.muted_events === incident.open_events;
  return html`<li class="event incident tone-${incident.severity} ${isMuted ? "is-muted" : ""}" data-testid="incident">
    <div class="event-head">
      <${SeverityBadge} severity=${incident.severity} />
      ${isMuted && html`<span class="badge tone-muted"><${Icon} name="muted" />muted</span>`}
      <span class="event-age">opened <${Ago} at=${incident.opened_at} /></span>
    </div>
    <h3>${incident.type ? `${visibleText(eventType(incident.type).title)} on ${hosts(incident.hosts)}` : heading(incident)}</h3>
    <p class="event-subject">
      ${incident.tags.slice(0, 1).map((tag) => html`all tagged <span class="tag"><${HostText} text=${tag} /></span>`)}
      ${withHost && incident.host && html`<span class="tag"><${HostText} text=${incident.host} /></span>`}
    </p>
    <p class="event-figures">
      <b>${incident.open_events} open</b>
      ${incident.events > incident.open_events && html`<span>of ${incident.events} events</span>`}
      ${!isMuted && incident.muted_events > 0 && html`<span>${incident.muted_events} muted</span>`}
      <span>
        ${incident.type ? "first" : "cause"}: ${visibleText(eventType(cause.type).title)}
        ${incident.host === null && html` on <${HostText} text=${cause.host} />`}
      </span>
    </p>
    ${cause.explanation && html`<p class="event-explanation"><${HostText} text=${cause.explanation} limit=${600} /></p>`}
    <div class="event-foot">
      <details class="evidence" onToggle=${(event) => setShown(event.target.open)}>
        <summary>Events</summary>
        ${isShown && html`<${Members} incident=${incident} onChanged=${onChanged} />`}
      </details>
      ${incident.host !== null && !isShown && html`<${FixScript} event=${cause} />`}
    </div>
  </li>`;
}

function heading({ cause, events }) {
  const others = events - 1;
  return `${visibleText(eventType(cause.type).title)}${others > 0 ? ` and ${others} more` : ""}`;
}

function hosts(number) {
  return number === 1 ? "1 host" : `${number} hosts`;
}

function Members({ incident, onChanged }) {
  const members = useResource(
    `incident ${incident.id}`,
    (signal) => listEvents({ incident: incident.id, limit: MOST_MEMBERS }, signal),
    (change) => concerns(change, "events"),
  );
  const reload = () => {
    members.reload();
    onChanged();
  };
  return html`<${Loaded} resource=${members} what="its events">
    ${({ items, next }) => html`
      <ul class="events">
        ${items.map(
          (event) => html`<${EventCard}
            key=${event.id}
            event=${event}
            withHost=${incident.host === null}
            onChanged=${reload}
            note=${event.state === "resolved" ? "Resolved." : null}
          />`,
        )}
      </ul>
      ${next && html`<p class="hint">The last ${items.length} of ${incident.events}.</p>`}
    `}
  <//>`;
}
