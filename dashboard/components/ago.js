/** Times, as people say them. */

import { clock, duration } from "../format.js";
import { html } from "../html.js";
import { useNow } from "../resource.js";

/** How long ago a moment (RFC 3339) was; the moment itself in a tooltip. */
export function Ago({ at }) {
  const now = useNow();
  const moment = Date.parse(at);
  return html`<time datetime=${at} title=${clock(moment, now)}>${duration((now - moment) / 1000)} ago</time>`;
}

/** A moment (RFC 3339) on the reader's clock. */
export function At({ at }) {
  return html`<time datetime=${at}>${clock(Date.parse(at), Date.now())}</time>`;
}
