/** Text that a host sent, made harmless to read. */

import { html } from "../html.js";
import { visibleParts, visibleText } from "../visible.js";

/** The text with hidden characters shown as their codes; past `limit` characters cut, with the whole in a tooltip. */
export function HostText({ text, limit = 80 }) {
  const { parts, whole } = visibleParts(text, limit);
  const shown = parts.map((one) => one.text ?? html`<span class="hidden-character">${one.code}</span>`);
  const title = whole ? undefined : visibleText(text);
  return html`<bdi class="host-text" title=${title}>${shown}${whole ? "" : "…"}</bdi>`;
}
