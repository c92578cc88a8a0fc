/** One policy being edited: its form, and beside it what it would have done and what it was before. */

import { useState } from "preact/hooks";
import { changePolicy, createPolicy, previewPolicy, removePolicy } from "../api.js";
import { html } from "../html.js";
import { useAction } from "../resource.js";
import { Notice } from "./notice.js";
import { Panel } from "./panel.js";
import { PolicyForm } from "./policy-form.js";
import { PolicyHistory } from "./policy-history.js";
import { PolicyPreview } from "./policy-preview.js";

const OF = ["scope", "tag", "host", "type", "subject"];
const NEW = { scope: "fleet", tag: "", host: "", type: "cpu_high", subject: "" };

/** `policy` is null for a new one. */
export function PolicyEditor({ policy, types, onClosed }) {
  const [draft, setDraft] = useState(policy ?? NEW);
  const [hours, setHours] = useState(168);
  const type = types.find((one) => one.type === draft.type);
  const [preview, previewing] = useAction(() => 
    previewPolicy({ ...of(draft, type), ...settings(draft, type), hours }),
  );
  const [save, saving] = useAction(async () => {
    if (policy) await changePolicy(policy.id, { ...settings(draft, type), version: policy.version });
    else await createPolicy({ ...of(draft, type), ...settings(draft, type) });
    onClosed();
  });
  const [remove, removing] = useAction(async () => {
    await removePolicy(policy.id);
    onClosed();
  });
  const busy = previewing.busy || saving.busy || removing.busy;
  const error = saving.error ?? removing.error ?? previewing.error;

  return html`<div class="policy-editor">
    <${Panel} title=${policy ? "Change a policy" : "New policy"} id="policy">
      <form
        class="script-form"
        onSubmit=${(event) => {
          event.preventDefault();
          save();
        }}
      >
        <${PolicyForm} draft=${draft} type=${type} types=${types} isNew=${!policy} error=${error} onChange=${setDraft} />
        ${error && !error.field && html`<${Notice} tone="error">${error.message}<//>`}
        <div class="form-actions">
          <button type="button" disabled=${busy} onClick=${preview}>
            ${previewing.busy ? "Replaying…" : "Preview"}
          </button>
          <button type="submit" class="primary" disabled=${busy}>${saving.busy ? "Saving…" : "Save"}</button>
          <button type="button" class="quiet" onClick=${onClosed}>Cancel</button>
          ${
            policy &&
            html`<button type="button" class="danger" disabled=${busy} onClick=${remove}>
            ${removing.busy ? "Removing…" : "Remove"}
          </button>`
          }
        </div>
      </form>
    <//>
    <div class="policy-beside">
      <${PolicyPreview} state=${previewing} hours=${hours} onHours=${setHours} />
      ${policy && html`<${PolicyHistory} policy=${policy} type=${type} />`}
    </div>
  </div>`;
}

function of(draft, type) {
  const given = OF.filter((name) => !["tag", "host"].includes(name) || name === draft.scope);
  const said = Object.fromEntries(given.map((name) => [name, draft[name] ?? ""]));
  return type?.subject ? said : { ...said, subject: "" };
}

function settings(draft, type) {
  const names = [...Object.keys(type?.numbers ?? {}), "enabled", "severity"];
  return Object.fromEntries(names.map((name) => [name, draft[name] ?? null]));
}
