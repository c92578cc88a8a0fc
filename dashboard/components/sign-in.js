/** The form for those who come without a link. */

import { useState } from "preact/hooks";
import { signInWithToken } from "../api.js";
import { html } from "../html.js";
import { useAction } from "../resource.js";
import { Mark } from "./icon.js";
import { Notice } from "./notice.js";

/** Takes the token; `fault` says why a link or a session was of no use. */
export function SignIn({ fault, onSignedIn }) {
  const [token, setToken] = useState("");
  const [run, { busy, error }] = useAction(async () => {
    await signInWithToken(token.trim());
    onSignedIn();
  });

  function submit(event) {
    event.preventDefault();
    run();
  }

  const said = error?.message ?? fault;
  return html`<main class="centre">
    <form class="sign-in panel" onSubmit=${submit}>
      <h1><${Mark} />Fleetmedic</h1>
      <p>
        <code>fleetmedic up</code> prints a link that signs you in; <code>fleetmedic link</code> prints a new one.
        Or paste the admin token: <code>up</code> names the file that holds it.
      </p>
      ${said && html`<${Notice} tone="error">${said}<//>`}
      <label for="token">Admin token</label>
      <input
        id="token"
        type="password"
        autocomplete="current-password"
        spellcheck="false"
        required
        value=${token}
        onInput=${(event) => setToken(event.target.value)}
      />
      <button type="submit" class="primary" disabled=${busy || token.trim() === ""}>
        ${busy ? "Signing in…" : "Sign in"}
      </button>
    </form>
  </main>`;
}
