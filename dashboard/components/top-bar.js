/** The bar at the top: which host, how fresh, and what concerns the reader alone. */

import { signOut } from "../api.js";
import { html } from "../html.js";
import { useAction, useLiveState } from "../resource.js";
import { HostPicker } from "./host-picker.js";
import { Icon, Mark } from "./icon.js";
import { ThemeToggle } from "./theme-toggle.js";

const LIVE_WORDS = {
  connecting: ["Connecting", "Asking the server for a stream of changes"],
  live: ["Live", "Changes are shown as they happen"],
  polling: ["Every 30 s", "No stream to be had just now: the page asks every 30 seconds"],
  unreachable: ["No answer", "The server does not answer: the page goes on asking"],
  hidden: ["Paused", "This tab is hidden"],
};

/** The bar. */
export function TopBar({ onSignedOut, ...picker }) {
  const [leave, { busy }] = useAction(async () => {
    await signOut();
    onSignedOut();
  });
  return html`<header class="top-bar">
    <a class="brand" href="/monitoring-dashboard"><${Mark} /><span>Fleetmedic</span></a>
    <${HostPicker} ...${picker} />
    <${LiveState} />
    <div class="top-actions">
      <a class="button quiet" href="#policies" aria-label="Policies" title="Policies"><${Icon} name="policies" /></a>
      <${ThemeToggle} />
      <button type="button" class="quiet" disabled=${busy} onClick=${leave} aria-label="Sign out" title="Sign out">
        <${Icon} name="leave" />
      </button>
    </div>
  </header>`;
}

function LiveState() {
  const state = useLiveState();
  const [word, meaning] = LIVE_WORDS[state];
  return html`<span class="live-state live-${state}" role="status" title=${meaning}><i></i>${word}</span>`;
}
