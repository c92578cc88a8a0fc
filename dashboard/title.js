/** The title of the browser's tab: what is shown, and how many events are open there. */

/** Set it. */
export function setTitle(what, openEvents) {
  document.title = `${openEvents > 0 ? `(${openEvents}) ` : ""}${what} · Fleetmedic`;
}
