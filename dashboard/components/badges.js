/** Severity, health and the like: by colour and by word, most by an icon too. */

import { html } from "../html.js";
import { HEALTH, SCRIPT_STATES } from "../vocabulary.js";
import { Icon } from "./icon.js";

/** How bad an event is. */
export function SeverityBadge({ severity }) {
  return html`<span class="badge tone-${severity}"><${Icon} name=${severity} />${severity}</span>`;
}

/** How a host is. */
export function HealthBadge({ health }) {
  return html`<span class="badge tone-${health}"><${Icon} name=${health} />${HEALTH[health] ?? health}</span>`;
}

/** How far a script is. */
export function ScriptStateBadge({ state }) {
  const { word, tone } = SCRIPT_STATES[state] ?? { word: state, tone: "unknown" };
  return html`<span class="badge tone-${tone}">${word}</span>`;
}

/** That a host is under maintenance; nothing where `window` is null. */
export function MaintenanceBadge({ window }) {
  return window && html`<span class="badge tone-maintenance"><${Icon} name="maintenance" />Maintenance</span>`;
}
