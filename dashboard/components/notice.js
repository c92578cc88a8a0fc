/** What a panel says instead of, or beside, its data: that it loads, that there is nothing, that something failed. */

import { html } from "../html.js";
import { Icon } from "./icon.js";

/** A message: `tone` is "error", "warning", "info" or "good". With `onRetry` it has a button. */
export function Notice({ tone = "info", children, onRetry = null }) {
  return html`<div class="notice notice-${tone}" role=${tone === "error" ? "alert" : "status"}>
    <span>${children}</span>
    ${onRetry && html`<button type="button" class="small" onClick=${onRetry}>Try again</button>`}
  </div>`;
}

/** Bars in the place of data that is on its way. */
export function Loading({ what, rows = 3 }) {
  return html`<div class="loading" role="status" aria-label="Loading ${what}">
    ${Array.from({ length: rows }, () => html`<span></span>`)}
  </div>`;
}

/** Data once it is there: loads, says what failed, and keeps old data in sight while new loads fail. */
export function Loaded({ resource, what, rows, children }) {
  const failed = resource.error;
  return html`
    ${failed && html`<${Notice} tone="error" onRetry=${resource.reload}>Cannot load ${what}. ${failed.message}<//>`}
    ${resource.data === undefined ? !failed && html`<${Loading} what=${what} rows=${rows} />` : children(resource.data)}
  `;
}
