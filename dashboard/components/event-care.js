/** What a person does about an open event: acknowledge it, resolve it, write a note on it. */

import { useEffect, useRef, useState } from "preact/hooks";
import { acknowledgeEvent, addNote, resolveEvent } from "../api.js";
import { html } from "../html.js";
import { useAction } from "../resource.js";
import { visibleText } from "../visible.js";
import { eventType } from "../vocabulary.js";

const MOST_WRITTEN = 2000;
const ACTS = {
  acknowledge: { title: "Acknowledge", act: acknowledgeEvent, isNoteNeeded: false },
  resolve: { title: "Resolve", act: resolveEvent, isNoteNeeded: false },
  note: { title: "Add note", act: addNote, isNoteNeeded: true },
};

/** Buttons, and a form below for the one that was chosen; `onChanged` is called when it is done. */
export function EventCare({ event, onChanged }) {
  const [chosen, setChosen] = useState(null);
  const offered = Object.keys(ACTS).filter((name) => name !== "acknowledge" || event.acknowledged_at === null);
  const done = () => {
    setChosen(null);
    onChanged();
  };
  return html`<div class="event-care">
    ${offered.map(
      (name) => html`<button
      key=${name}
      type="button"
      class="quiet small"
      aria-expanded=${chosen === name ? "true" : "false"}
      aria-label="${ACTS[name].title}: ${eventType(event.type).title}, ${visibleText(event.subject, 40)}"
      onClick=${() => setChosen(chosen === name ? null : name)}
    >
      ${ACTS[name].title}
    </button>`,
    )}
    ${chosen && html`<${Form} key=${chosen} event=${event} chosen=${ACTS[chosen]} onDone=${done} />`}
  </div>`;
}

function Form({ event, chosen: { title, act, isNoteNeeded }, onDone }) {
  const [note, setNote] = useState("");
  const field = useRef(null);
  useEffect(() => field.current.focus(), []);
  const [run, { busy, error }] = useAction(() => act(event.id, note.trim()).then(onDone));
  const label = `note-${event.id}`;

  function submit(submitted) {
    submitted.preventDefault();
    run();
  }

  return html`<form class="event-note-form" onSubmit=${submit}>
    <label for=${label}>${isNoteNeeded ? "Note" : "Note (optional)"}</label>
    <textarea
      id=${label}
      ref=${field}
      rows="2"
      maxlength=${MOST_WRITTEN}
      value=${note}
      onInput=${(typed) => setNote(typed.target.value)}
    ></textarea>
    <button type="submit" class="small primary" disabled=${busy || (isNoteNeeded && note.trim() === "")}>
      ${busy ? "Saving…" : title}
    </button>
    ${error && html`<span class="action-error" role="alert">${error.message}</span>`}
  </form>`;
}
