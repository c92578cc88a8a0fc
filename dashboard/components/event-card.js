/** One open event. */

import { html } from "../html.js";
import { visibleText } from "../visible.js";
import { MUTERS, eventType } from "../vocabulary.js";
import { Ago, At } from "./ago.js";
import { SeverityBadge } from "./badges.js";
import { EventCare } from "./event-care.js";
import { EventLife } from "./event-life.js";
import { EventNotes } from "./event-notes.js";
import { Evidence } from "./evidence.js";
import { FixScript } from "./fix-script.js";
import { HostText } from "./host-text.js";
import { Icon } from "./icon.js";

/** What, where, how bad, since when, why, the way to its script, and what to do; `note` is said of it besides. */
export function EventCard({ event, withHost, onChanged, note = null }) {
  const { title, value, withoutPeak } = eventType(event.type);
  const [now, limit, peak] = [event.value, event.limit, event.peak_value].map((one) =>
    one === null ? null : value(one),
  );
  return html`<li class="event tone-${event.severity} ${event.muted ? "is-muted" : ""}">
    <div class="event-head">
      <${SeverityBadge} severity=${event.severity} />
      <span class="event-marks">
        ${event.muted && html`<span class="badge tone-muted"><${Icon} name="muted" />${MUTERS[event.muted_by.kind]}</span>`}
        <${EventLife} event=${event} />
      </span>
      <span class="event-age">
        ${event.reopened_at ? "opened again" : "opened"} <${Ago} at=${event.reopened_at ?? event.opened_at} />
      </span>
    </div>
    <h3>${visibleText(title)} <code>${visibleText(event.type)}</code></h3>
    ${
      (withHost || event.subject !== event.host) &&
      html`<p class="event-subject">
      ${withHost && html`<span class="tag"><${HostText} text=${event.host} /></span>`}
      ${event.subject !== event.host && html`<${HostText} text=${event.subject} />`}
    </p>`
    }
    ${
      now !== null &&
      html`<p class="event-figures">
      <b>${now}</b>
      ${limit !== null && html`<span>limit ${limit}</span>`}
      ${peak !== null && event.peak_at && !withoutPeak && html`<span>peak ${peak} at <${At} at=${event.peak_at} /></span>`}
    </p>`
    }
    ${note && html`<p class="hint">${note}</p>`}
    ${event.explanation && html`<p class="event-explanation"><${HostText} text=${event.explanation} limit=${600} /></p>`}
    <div class="event-foot">
      <${Evidence} evidence=${event.evidence} />
      <${FixScript} event=${event} />
    </div>
    <${EventNotes} event=${event} />
    ${event.state === "open" && html`<${EventCare} event=${event} onChanged=${onChanged} />`}
  </li>`;
}
