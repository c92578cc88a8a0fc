/** Code with numbered lines and colours. */

import { useMemo } from "preact/hooks";
import { html } from "../html.js";
import { bashTokens } from "../syntax/bash.js";
import { powershellTokens } from "../syntax/powershell.js";
import { linesOf } from "../syntax/tokens.js";
import { visibleText } from "../visible.js";

const TOKENIZERS = { bash: bashTokens, powershell: powershellTokens };

/** The text of a script; what it shows is text and nothing else. */
export function Code({ text, type }) {
  const lines = useMemo(() => linesOf((TOKENIZERS[type] ?? plain)(text)), [text, type]);
  return html`<pre class="code" role="region" tabindex="0" aria-label="Code of the script"><code>${lines.map(
    (tokens, i) =>
      html`<span class="line" key=${i}>${tokens.map(([kind, piece]) =>
        kind ? html`<span class="token-${kind}">${shown(piece)}</span>` : shown(piece),
      )}${"\n"}</span>`,
  )}</code></pre>`;
}

function plain(text) {
  return [["", text]];
}

/** Scripts are printable ASCII; should one not be, what hides in it is seen. */
function shown(piece) {
  return visibleText(piece.replaceAll("\t", "    "), Infinity);
}
