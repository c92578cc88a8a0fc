/** Where the page starts. */

import { render } from "preact";
import { App } from "./components/app.js";
import { html } from "./html.js";

render(html`<${App} />`, document.getElementById("page"));
