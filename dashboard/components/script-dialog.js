/** The dialog of a script: ask for one, read it, take it away. */

import { useEffect, useRef, useState } from "preact/hooks";
import { generateScript, listRemedies, showScript } from "../api.js";
import { html } from "../html.js";
import { concerns } from "../live.js";
import { useAction, useResource } from "../resource.js";
import { isToCome } from "../vocabulary.js";
import { Icon } from "./icon.js";
import { Loading, Notice } from "./notice.js";
import { ScriptForm } from "./script-form.js";
import { ScriptView } from "./script-view.js";

const AWAITED_POLL_MS = 1000;

/** Shows what `asked` names (see script-context.js), over the rest of the page. Escape closes it. */
export function ScriptDialog({ asked, onClosed }) {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  const close = () => dialog.current.close();

  const [scriptId, setScriptId] = useState(asked.scriptId ?? asked.event?.script_id ?? null);
  // What the form starts with; null while a script is shown.
  const [form, setForm] = useState(scriptId === null ? asked : null);
  const remedies = useResource("remedies", listRemedies, () => false);
  const templates = remedies.data?.templates ?? [];
  const [generate, generating] = useAction(async (wanted) => {
    const { id } = await generateScript(wanted);
    setScriptId(id);
    setForm(null);
  });

  return html`<dialog ref=${dialog} class="script-dialog" aria-labelledby="script-title" onClose=${onClosed}>
    <button type="button" class="quiet dialog-close" onClick=${close} aria-label="Close">
      <${Icon} name="close" />
    </button>
    ${remedies.error && html`<${Notice} tone="error" onRetry=${remedies.reload}>${remedies.error.message}<//>`}
    ${form !== null && !remedies.data && !remedies.error && html`<${Waiting} what="the remedies" />`}
    ${
      form !== null &&
      remedies.data &&
      html`<${ScriptForm}
      asked=${form}
      templates=${templates}
      faults=${remedies.data.faults}
      state=${generating}
      onGenerate=${generate}
      onCancel=${scriptId === null ? null : () => setForm(null)}
    />`
    }
    ${
      form === null &&
      html`<${Shown}
      key=${scriptId}
      id=${scriptId}
      templates=${templates}
      state=${generating}
      onGenerate=${generate}
      onChange=${setForm}
      onOpen=${setScriptId}
    />`
    }
  </dialog>`;
}

function Shown({ id, templates, state, onGenerate, onChange, onOpen }) {
  const script = useResource(
    `script ${id}`,
    (signal) => showScript(id, signal),
    (change) => concerns(change, "scripts", id),
  );
  const isAwaited = script.data !== undefined && isToCome(script.data);
  useEffect(() => {
    if (!isAwaited) return undefined;
    // A message of its end may have been before this dialog listened.
    const timer = setInterval(script.reload, AWAITED_POLL_MS);
    return () => clearInterval(timer);
  }, [isAwaited]);
  if (script.error && !script.data) {
    return html`<h2 id="script-title">Script</h2>
      <${Notice} tone="error" onRetry=${script.reload}>${script.error.message}<//>`;
  }
  if (!script.data) return html`<${Waiting} what="the script" />`;
  const template = templates.find((one) => one.issue_type === script.data.issue_type);
  return html`<${ScriptView}
    script=${script.data}
    template=${template}
    state=${state}
    onGenerate=${onGenerate}
    onChange=${onChange}
    onAgain=${script.reload}
    onOpen=${onOpen}
  />`;
}

function Waiting({ what }) {
  return html`
    <h2 id="script-title">Script</h2>
    <${Loading} what=${what} rows=${6} />
  `;
}
