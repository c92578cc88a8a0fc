/** What a policy was before: every version, when, and by whom. */

import { listPolicyVersions } from "../api.js";
import { html } from "../html.js";
import { useResource } from "../resource.js";
import { Ago } from "./ago.js";
import { HostText } from "./host-text.js";
import { Loaded } from "./notice.js";
import { Panel } from "./panel.js";
import { settingsInWords } from "./policy-words.js";

/** The newest first. */
export function PolicyHistory({ policy, type }) {
  const versions = useResource(
    `policy versions ${policy.id}`,
    (signal) => listPolicyVersions(policy.id, signal),
    () => false,
  );
  return html`<${Panel} title="Versions" id="policy-versions">
    <${Loaded} resource=${versions} what="the versions">
      ${({ items }) => html`<ol class="versions">
        ${items.map(
          (version) => html`<li key=${version.version}>
            <b>${version.version}</b> ${settingsInWords(version, type)}
            <div class="hint"><${Ago} at=${version.changed_at} /> by <${HostText} text=${version.changed_by} /></div>
          </li>`,
        )}
      </ol>`}
    <//>
  <//>`;
}
