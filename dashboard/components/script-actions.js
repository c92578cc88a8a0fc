/** Copy, download, save; cancel, and try again. */

import { useEffect, useState } from "preact/hooks";
import { cancelScript, retryScript, saveScript, scriptDownload } from "../api.js";
import { copyText } from "../clipboard.js";
import { html } from "../html.js";
import { useAction } from "../resource.js";
import { visibleText } from "../visible.js";
import { isToCome } from "../vocabulary.js";
import { Icon } from "./icon.js";

const SAID_MS = 4000;

/** Three buttons and what came of them. */
export function ScriptActions({ script }) {
  const [copy, copying] = useAction(() => copyText(script.script));
  const [save, saving] = useAction(() => saveScript(script.id));
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    setCopied(copying.done !== null);
    const timer = setTimeout(() => setCopied(false), SAID_MS);
    return () => clearTimeout(timer);
  }, [copying.done]);
  const error = copying.error ?? saving.error;
  return html`
    <button type="button" class="primary" onClick=${copy}>
      <${Icon} name=${isCopied ? "resolved" : "copy"} />${isCopied ? "Copied" : "Copy"}
    </button>
    <a class="button" href=${scriptDownload(script.id)} download=${script.filename}>
      <${Icon} name="download" />Download
    </a>
    <button type="button" disabled=${saving.busy} onClick=${save}>
      <${Icon} name="save" />${saving.busy ? "Saving…" : "Save on server"}
    </button>
    <span class="action-done" role="status">
      ${isCopied && html`<span class="for-screen-readers">Copied to the clipboard.</span>`}
      ${saving.done && html`Saved as <code>${visibleText(saving.done.path)}</code>`}
    </span>
    ${error && html`<span class="action-error" role="alert">${error.message}</span>`}
  `;
}

/** What can be done while there is no script: a button, and what was wrong with it. `onDone` is called after. */
export function JobActions({ script, onDone }) {
  const act = isToCome(script) ? cancelScript : retryScript;
  const [run, { busy, error }] = useAction(() => act(script.id).finally(onDone));
  if (script.state === "ready") return null;
  return html`
    <button type="button" disabled=${busy} onClick=${run}>${isToCome(script) ? "Cancel" : "Try again"}</button>
    ${error && html`<span class="action-error" role="alert">${error.message}</span>`}
  `;
}
