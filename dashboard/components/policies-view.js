/** The page of policies: which there are, and one that is edited, with its preview and its past beside it. */

import { useEffect, useState } from "preact/hooks";
import { listPolicies, listPolicyTypes } from "../api.js";
import { html } from "../html.js";
import { useResource } from "../resource.js";
import { setTitle } from "../title.js";
import { Loaded } from "./notice.js";
import { PolicyEditor } from "./policy-editor.js";
import { PolicyTable } from "./policy-table.js";

const MOST_SHOWN = 1000;
const never = () => false;

/** All policies by scope. Nobody announces changes of others: they are there when the page is opened, or after a save. */
export function PoliciesView() {
  const [edited, setEdited] = useState(null);
  const types = useResource("policy types", listPolicyTypes, never);
  const policies = useResource("policies", (signal) => listPolicies({ limit: MOST_SHOWN }, signal), never);
  useEffect(() => setTitle("Policies", 0), []);

  function close() {
    setEdited(null);
    policies.reload();
  }

  return html`<section class="summary" aria-label="Policies">
      <div class="summary-name">
        <h1>Policies</h1>
        <span class="freshness">What opens an event, for the fleet, a tag or a host: the nearest wins.</span>
      </div>
      <button type="button" class="primary" disabled=${!types.data} onClick=${() => setEdited({})}>New policy</button>
    </section>
    <${Loaded} resource=${types} what="the types of policies" rows=${1}>
      ${({ items }) =>
        edited &&
        html`<${PolicyEditor}
          key=${edited.id ?? "new"}
          policy=${edited.id ? edited : null}
          types=${items}
          onClosed=${close}
        />`}
    <//>
    <${Loaded} resource=${policies} what="policies" rows=${4}>
      ${({ items }) => html`<${PolicyTable} policies=${items} types=${types.data?.items ?? []} onEdit=${setEdited} />`}
    <//>`;
}
