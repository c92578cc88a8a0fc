/** What became of an event since it first opened, in badges. */

import { clock } from "../format.js";
import { html } from "../html.js";
import { visibleText } from "../visible.js";

/** Whether it flaps, how often it opened, who looks after it; nothing where there is nothing to say. */
export function EventLife({ event }) {
  const now = Date.now();
  const at = (moment) => clock(Date.parse(moment), now);
  return html`
    ${
      event.flapping &&
      html`<span class="badge tone-medium" title="It opens again and again: it resolves after 15 minutes of quiet">
      flapping
    </span>`
    }
    ${
      event.openings > 1 &&
      html`<span class="badge tone-unknown" title=${event.reopened_at && `last opened ${at(event.reopened_at)}`}>
      opened ${event.openings} times
    </span>`
    }
    ${
      event.acknowledged_at !== null &&
      html`<span class="badge tone-healthy" title="by ${visibleText(event.acknowledged_by ?? "", 60)}, ${at(event.acknowledged_at)}">
      acknowledged
    </span>`
    }
    ${
      event.resolved_by !== null &&
      html`<span class="badge tone-unknown" title="by ${visibleText(event.resolved_by, 60)}">resolved by hand</span>`
    }
  `;
}
