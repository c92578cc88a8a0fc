/** What happened lately, the newest first. */

import { useContext, useState } from "preact/hooks";
import { clearResolved } from "../api.js";
import { clock, duration } from "../format.js";
import { html } from "../html.js";
import { useAction, useNow } from "../resource.js";
import { visibleText } from "../visible.js";
import { eventType } from "../vocabulary.js";
import { EventLife } from "./event-life.js";
import { EventNotes } from "./event-notes.js";
import { HostText } from "./host-text.js";
import { Icon } from "./icon.js";
import { Loaded } from "./notice.js";
import { Panel } from "./panel.js";
import { ScriptContext } from "./script-context.js";

const SHOWN = 8;

/** Recent events (`events` is what useEvents gave); the resolved ones of `host`, null for all, can be cleared away. */
export function Timeline({ events: { recent, withHost }, host }) {
  const [all, setAll] = useState(false);
  const [clear, { busy, error, done }] = useAction(() => clearResolved(host ? host.id : "*").finally(recent.reload));
  const isClearable = recent.data?.events.some((event) => event.state === "resolved");
  const actions = html`
    <span class="action-done" role="status">${done ? `${done.cleared} cleared` : ""}</span>
    <button type="button" class="quiet small" disabled=${busy || !isClearable} onClick=${clear}
      title="Hide resolved events from this list; nothing is deleted">
      ${busy ? "Clearing…" : "Clear resolved"}
    </button>
  `;
  return html`<${Panel} title="Timeline" id="timeline" data-testid="timeline" actions=${actions}>
    ${error && html`<p class="action-error" role="alert">${error.message}</p>`}
    <${Loaded} resource=${recent} what="recent events">
      ${({ events }) =>
        events.length === 0
          ? html`<p class="empty">No events.</p>`
          : html`
              <ol class="timeline">
                ${events
                  .slice(0, all ? undefined : SHOWN)
                  .map((event) => html`<${Entry} key=${event.id} event=${event} withHost=${withHost} />`)}
              </ol>
              ${
                events.length > SHOWN &&
                html`<button type="button" class="quiet small" onClick=${() => setAll(!all)}>
                ${all ? "Show fewer" : `Show all ${events.length}`}
              </button>`
              }
            `}
    <//>
  <//>`;
}

function Entry({ event, withHost }) {
  const open = useContext(ScriptContext);
  const now = useNow();
  const { title } = eventType(event.type);
  const end = event.resolved_at ? Date.parse(event.resolved_at) : now;
  const lasted = duration((end - Date.parse(event.opened_at)) / 1000);
  return html`<li class="tone-${event.severity} is-${event.state} ${event.muted ? "is-muted" : ""}">
    <span class="timeline-icon"><${Icon} name=${event.state === "open" ? event.severity : "resolved"} /></span>
    <div>
      <p>
        <span class="timeline-title">${visibleText(title)}</span>
        <span class="timeline-severity">${event.severity}</span>
        <${EventLife} event=${event} />
        ${event.muted_by && html`<span class="timeline-severity">${event.muted ? "muted" : "was muted"}</span>`}
      </p>
      <p class="timeline-note">
        <time datetime=${event.opened_at}>${clock(Date.parse(event.opened_at), now)}</time>,
        ${event.state === "open" ? ` open for ${lasted}` : ` resolved after ${lasted}`}
        ${withHost && html`, <${HostText} text=${event.host} limit=${32} />`}
        ${event.subject !== event.host && html`, <${HostText} text=${event.subject} limit=${48} />`}
      </p>
      ${
        event.state === "resolved" &&
        event.explanation &&
        html`<p class="timeline-note"><${HostText} text=${event.explanation} limit=${240} /></p>`
      }
      <${EventNotes} event=${event} />
    </div>
    ${
      event.script_id !== null &&
      html`<button type="button" class="quiet small" onClick=${() => open({ key: `event ${event.id}`, event })}
      aria-label="Script for ${visibleText(title)}, ${visibleText(event.subject, 40)}">Script</button>`
    }
  </li>`;
}
