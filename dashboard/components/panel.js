/** A titled part of the page. */

import { html } from "../html.js";

/** A panel; `actions` stand at the right of its title. */
export function Panel({ title, id, actions = null, children, ...rest }) {
  return html`<section class="panel" aria-labelledby="${id}-title" ...${rest}>
    <header class="panel-head"><h2 id="${id}-title">${title}</h2>${actions}</header>
    ${children}
  </section>`;
}
