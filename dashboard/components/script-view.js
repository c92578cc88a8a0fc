/** One script: what it is, what it does in which mode, its code, and the ways to take it away. */

import { html } from "../html.js";
import { visibleText } from "../visible.js";
import { SCRIPT_TYPES, isToCome } from "../vocabulary.js";
import { At } from "./ago.js";
import { Code } from "./code.js";
import { HostText } from "./host-text.js";
import { Loading, Notice } from "./notice.js";
import { JobActions, ScriptActions } from "./script-actions.js";
import { EventScripts } from "./script-history.js";

const MODES = [
  ["plan", "Prints what it would do, and changes nothing. Run this first."],
  ["apply", "Does it, and logs each step. Asks processes to end, and kills none unless you force it."],
  ["verify", "Measures whether it worked. Ends with 0 when all is well again."],
];

/**
 * `template` is the remedy it was made from, undefined until that is known. `onAgain` is called when the script is to be
 * loaded anew, `onOpen` with the id of another one that is to be shown in its place.
 */
export function ScriptView({ script, template, state, onGenerate, onChange, onAgain, onOpen }) {
  const title = template?.title ?? script.issue_type;
  return html`
    <header class="script-head">
      <h2 id="script-title">${visibleText(title)}</h2>
      <p class="hint">
        ${script.host && html`for <${HostText} text=${script.host} />`}
        ${script.event_id !== null && html`, answers event ${script.event_id}`}
        ${script.ready_at && html`, made <${At} at=${script.ready_at} />`}
        ${script.requested_by && html`, asked for by ${visibleText(script.requested_by, 64)}`}
      </p>
    </header>
    <p>${visibleText(script.description ?? template?.description ?? "")}</p>
    <div class="script-bar">
      <${TypeSwitch} script=${script} template=${template} busy=${state.busy} onGenerate=${onGenerate} />
      ${script.state === "ready" && html`<${ScriptActions} script=${script} />`}
      <${JobActions} script=${script} onDone=${onAgain} />
      ${
        template?.parameters.length > 0 &&
        html`<button type="button" onClick=${() => onChange(askedFor(script))}>Change parameters…</button>`
      }
    </div>
    ${state.error && html`<${Notice} tone="error">${state.error.message}<//>`}
    ${
      isToCome(script) &&
      html`
      <${Notice}>${progress(script)}<//>
      <${Loading} what="the script" rows=${8} />
    `
    }
    ${script.state === "cancelled" && html`<${Notice}>This script was cancelled before it was made.<//>`}
    ${
      script.state === "failed" &&
      html`<${Notice} tone="error">
      This script cannot be made: <${HostText} text=${script.error ?? "no reason is known"} limit=${400} />
    <//>`
    }
    ${
      script.state === "ready" &&
      html`
      <${Modes} script=${script} />
      <${Code} text=${script.script} type=${script.script_type} />
      <${Facts} script=${script} template=${template} />
    `
    }
    ${script.event_id !== null && html`<${EventScripts} script=${script} onOpen=${onOpen} />`}
  `;
}

function progress({ state, attempts }) {
  const turn = attempts > 1 ? ` (attempt ${attempts})` : "";
  if (state === "running") return `A worker is writing this script${turn}.`;
  return attempts > 0
    ? "No worker could write this script yet. One tries again before long."
    : "This script waits for a worker.";
}

function TypeSwitch({ script, template, busy, onGenerate }) {
  const types = template?.script_types ?? [script.script_type];
  return html`<div class="segments" role="group" aria-label="Script type">
    ${types.map(
      (type) => html`<button
        type="button"
        key=${type}
        aria-pressed=${type === script.script_type ? "true" : "false"}
        disabled=${busy}
        onClick=${() => type !== script.script_type && onGenerate(inAnotherType(script, type))}
      >
        ${SCRIPT_TYPES[type] ?? type}
      </button>`,
    )}
  </div>`;
}

function inAnotherType(script, type) {
  return {
    issue_type: script.issue_type,
    script_type: type,
    host: script.host ?? undefined,
    event_id: script.event_id ?? undefined,
    parameters: givenParameters(script.parameters ?? script.given),
  };
}

/** Return what a form starts with that is to make this script anew. */
function askedFor(script) {
  return {
    issueType: script.issue_type,
    scriptType: script.script_type,
    host: script.host,
    eventId: script.event_id,
    parameters: givenParameters(script.parameters ?? script.given),
  };
}

/** Return the parameters that have a value: those without one are not to be given. */
export function givenParameters(parameters) {
  return Object.fromEntries(Object.entries(parameters ?? {}).filter(([, value]) => value !== null && value !== ""));
}

function Modes({ script }) {
  return html`<dl class="modes">
    ${MODES.map(
      ([mode, meaning]) => html`<div key=${mode}>
        <dt>${mode}</dt>
        <dd>${meaning}</dd>
      </div>`,
    )}
  </dl>
  <p class="run-command">
    <span>Run it on the host:</span> <code>${visibleText(script.run_command)} plan</code>
    <span>Without a mode it plans, asks, applies and verifies.</span>
  </p>`;
}

function Facts({ script, template }) {
  const parameters = Object.entries(givenParameters(script.parameters));
  return html`<dl class="facts-list">
    <div><dt>File</dt><dd><code>${visibleText(script.filename)}</code></dd></div>
    ${template && html`<div><dt>Risk</dt><dd>${template.risk}</dd></div>`}
    <div><dt>Administrator</dt><dd>${script.requires_admin ? "needed" : "not needed"}</dd></div>
    <div>
      <dt>Parameters</dt>
      <dd>
        ${parameters.length === 0 && "none"}
        ${parameters.map(
          ([name, value]) => html`<span class="parameter" key=${name}>
            ${name} <${HostText} text=${String(value)} limit=${120} />
          </span>`,
        )}
      </dd>
    </div>
    <div><dt>SHA-256</dt><dd><code class="sum">${script.sha256}</code></dd></div>
  </dl>`;
}
