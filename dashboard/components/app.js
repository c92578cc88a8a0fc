/** The page: a sign-in form, or the dashboard. */

import { useEffect, useErrorBoundary, useState } from "preact/hooks";
import { isSignedIn, onSignedOut, signInWithCode } from "../api.js";
import { takeCode } from "../fragment.js";
import { html } from "../html.js";
import { Dashboard } from "./dashboard.js";
import { Loading, Notice } from "./notice.js";
import { SignIn } from "./sign-in.js";

/** Signs in with the code of the link, if there is one, and shows what the browser may see. */
export function App() {
  // "asking", "signed-in", "signed-out" or "unreachable"
  const [state, setState] = useState("asking");
  const [fault, setFault] = useState(null);
  const [broken] = useErrorBoundary((error) => console.error(error));

  async function ask(code) {
    setState("asking");
    setFault(null);
    try {
      if (code) await signInWithCode(code);
      setState(code || (await isSignedIn()) ? "signed-in" : "signed-out");
    } catch (error) {
      setFault(error.message);
      // A link that was used before does not end the session that it began.
      const stillIn = code && error.status !== 0 && (await isSignedIn().catch(() => false));
      setState(stillIn ? "signed-in" : error.status === 0 ? "unreachable" : "signed-out");
    }
  }

  useEffect(() => {
    onSignedOut(() => {
      setFault("Your session has ended.");
      setState("signed-out");
    });
    const follow = () => {
      const code = takeCode();
      if (code) ask(code);
    };
    window.addEventListener("hashchange", follow);
    ask(takeCode());
    return () => window.removeEventListener("hashchange", follow);
  }, []);

  if (broken) {
    return html`<main class="centre">
      <${Notice} tone="error" onRetry=${() => location.reload()}>This page failed: ${broken.message}<//>
    </main>`;
  }
  if (state === "signed-in") return html`<${Dashboard} onSignedOut=${() => ask(null)} />`;
  if (state === "signed-out") return html`<${SignIn} fault=${fault} onSignedIn=${() => setState("signed-in")} />`;
  if (state === "asking") return html`<main class="centre"><${Loading} what="the page" /></main>`;
  return html`<main class="centre"><${Notice} tone="error" onRetry=${() => ask(null)}>${fault}<//></main>`;
}
