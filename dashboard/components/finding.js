/** What was seen of one resource, with the numbers behind it. */

import { bytes, bytesPerSecond, duration, percent } from "../format.js";
import { html } from "../html.js";
import { visibleText } from "../visible.js";
import { RESOURCES } from "../vocabulary.js";
import { HostText } from "./host-text.js";

const MOST_SHOWN = 600;
const FORMATS = { percent, bytes, "bytes/s": bytesPerSecond, seconds: duration };

/** A finding: one that says nothing bad in its first sentence only. */
export function Finding({ finding }) {
  const sentences = finding.severity === "low" ? finding.sentences.slice(0, 1) : finding.sentences;
  const text = sentences.map((one) => one.text).join(" ");
  const numbers = sentences.flatMap((one) => one.numbers);
  return html`<li class="tone-${finding.severity}">
    <span class="finding-name">${RESOURCES[finding.resource] ?? visibleText(finding.resource)}</span>
    <span class="score" title="How near it is to holding everything back: ${Math.round(finding.score)} of 100">
      <i style=${{ width: `${Math.min(100, finding.score)}%` }}></i>
    </span>
    <div class="finding-text">
      <${HostText} text=${text} limit=${MOST_SHOWN} />
      ${finding.severity !== "low" && html`<${Numbers} numbers=${numbers} />`}
    </div>
  </li>`;
}

function Numbers({ numbers }) {
  return html`<details class="numbers">
    <summary>The numbers</summary>
    <dl>
      ${numbers.map(
        (one, place) => html`<div key=${place}>
          <dt><${HostText} text=${one.what} limit=${60} /></dt>
          <dd>${shown(one)}</dd>
        </div>`,
      )}
    </dl>
  </details>`;
}

function shown({ value, unit }) {
  if (value === null) return "–";
  const format = FORMATS[unit];
  return format ? format(value) : `${value.toLocaleString("en-US")}${unit === "1" ? "" : ` ${unit}`}`;
}
