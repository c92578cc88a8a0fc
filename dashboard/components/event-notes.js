/** What people wrote on an event. */

import { useState } from "preact/hooks";
import { listNotes } from "../api.js";
import { html } from "../html.js";
import { concerns } from "../live.js";
import { useResource } from "../resource.js";
import { Ago } from "./ago.js";
import { HostText } from "./host-text.js";
import { Loaded } from "./notice.js";

const MOST_SHOWN = 2000;

/** A part to be opened; nothing where there are no notes. */
export function EventNotes({ event }) {
  const [isOpen, setOpen] = useState(false);
  if (event.notes === 0) return null;
  return html`<details class="evidence notes" onToggle=${(toggled) => setOpen(toggled.target.open)}>
    <summary>${event.notes === 1 ? "1 note" : `${event.notes} notes`}</summary>
    ${isOpen && html`<${Notes} event=${event} />`}
  </details>`;
}

function Notes({ event }) {
  const notes = useResource(
    `notes ${event.id}`,
    (signal) => listNotes(event.id, signal),
    (change) => concerns(change, "events", event.host_id),
  );
  return html`<${Loaded} resource=${notes} what="the notes" rows=${1}>
    ${({ items }) => html`<ol>
      ${items.map(
        (one) => html`<li key=${one.id}>
          ${one.note.split("\n").map((line) => html`<p><${HostText} text=${line} limit=${MOST_SHOWN} /></p>`)}
          <small><${HostText} text=${one.written_by} limit=${60} />, <${Ago} at=${one.written_at} /></small>
        </li>`,
      )}
    </ol>`}
  <//>`;
}
