/** The dashboard: which host is shown, and what may cover it. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { listHosts, monitorStatus } from "../api.js";
import { chooseHost, chosenHost, isOnPolicies } from "../fragment.js";
import { html } from "../html.js";
import { Live } from "../live.js";
import { LiveContext, useResource } from "../resource.js";
import { FleetView } from "./fleet-view.js";
import { HostView } from "./host-view.js";
import { Loaded } from "./notice.js";
import { PoliciesView } from "./policies-view.js";
import { ScriptContext } from "./script-context.js";
import { ScriptDialog } from "./script-dialog.js";
import { TopBar } from "./top-bar.js";

const EVERY_HOST = "*";
const MOST_IN_PICKER = 200;

/** All that a signed-in reader sees. */
export function Dashboard({ onSignedOut }) {
  const live = useMemo(() => new Live(), []);
  return html`<${LiveContext.Provider} value=${live}><${Chosen} live=${live} onSignedOut=${onSignedOut} /><//>`;
}

function Chosen({ live, onSignedOut }) {
  const [search, setSearch] = useState("");
  const [host, setHost] = useState(chosenHost);
  const [onPolicies, setOnPolicies] = useState(isOnPolicies);
  const [asked, setAsked] = useState(null);
  const hosts = useResource(
    `hosts ${search}`,
    (signal) => listHosts({ limit: MOST_IN_PICKER, name: search }, signal),
    (change) => change.topic === "all",
  );
  // The host that the server itself would take: its own, the only one, or all.
  const usual = useResource("usual host", monitorStatus, () => host === null && !usual.data);
  const shown = host ?? usual.data?.host;
  useEffect(() => (shown === undefined ? undefined : live.start(shown === EVERY_HOST ? null : shown)), [live, shown]);

  useEffect(() => {
    const follow = () => {
      setHost(chosenHost());
      setOnPolicies(isOnPolicies());
    };
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, []);

  return html`<${ScriptContext.Provider} value=${setAsked}>
    <a class="skip" href="#content" onClick=${skip}>Skip to content</a>
    <${TopBar}
      hosts=${hosts}
      shown=${shown}
      everyHost=${EVERY_HOST}
      search=${search}
      onSearch=${setSearch}
      onChoose=${chooseHost}
      onSignedOut=${onSignedOut}
    />
    <main id="content" tabindex="-1">
      ${onPolicies && html`<${PoliciesView} />`}
      ${
        !onPolicies &&
        html`<${Loaded} resource=${shown === undefined ? usual : { ...usual, data: shown, error: null }} what="hosts">
        ${() =>
          shown === EVERY_HOST
            ? html`<${FleetView} onChoose=${chooseHost} />`
            : html`<${HostView} key=${shown} name=${shown} onEveryHost=${() => chooseHost(EVERY_HOST)} />`}
      <//>`
      }
    </main>
    ${asked && html`<${ScriptDialog} key=${asked.key} asked=${asked} onClosed=${() => setAsked(null)} />`}
  <//>`;
}

function skip(event) {
  // The fragment of the address is for the host.
  event.preventDefault();
  document.getElementById("content").focus();
}
