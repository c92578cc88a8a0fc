/** The way to the script that came with an event. */

import { useContext } from "preact/hooks";
import { html } from "../html.js";
import { visibleText } from "../visible.js";
import { eventType } from "../vocabulary.js";
import { Icon } from "./icon.js";
import { ScriptContext } from "./script-context.js";

/** A button, where the event has a script. */
export function FixScript({ event }) {
  const open = useContext(ScriptContext);
  if (event.script_id === null) return null;
  return html`<button
    type="button"
    class="small primary"
    onClick=${() => open({ key: `event ${event.id}`, event })}
    aria-label="Fix script for ${visibleText(eventType(event.type).title)}, ${visibleText(event.subject, 40)}"
  >
    <${Icon} name="script" />Fix script
  </button>`;
}
