/** Choosing a host. */

import { html } from "../html.js";

const SEARCH_FROM = 20;

/** Nothing for a fleet of one; a list for some; beside it a field for the beginning of a name when there are many. */
export function HostPicker({ hosts, shown, everyHost, search, onSearch, onChoose }) {
  const names = hosts.data?.items.map((host) => host.name) ?? [];
  const isMany = names.length > SEARCH_FROM || hosts.data?.next || search;
  if (!isMany && names.length < 2 && (shown === undefined || shown === everyHost || names.includes(shown))) return null;
  const listed = shown && shown !== everyHost && !names.includes(shown) ? [shown, ...names] : names;
  return html`<div class="host-picker">
    ${
      isMany &&
      html`<input
      type="search"
      aria-label="Find a host by name"
      placeholder="Find…"
      maxlength="63"
      value=${search}
      onInput=${(event) => onSearch(event.target.value.trim())}
    />`
    }
    <label for="host">Host</label>
    <select id="host" value=${shown} onChange=${(event) => onChoose(event.target.value)}>
      <option value=${everyHost} selected=${shown === everyHost}>All hosts</option>
      ${listed.map((name) => html`<option key=${name} value=${name} selected=${name === shown}>${name}</option>`)}
    </select>
  </div>`;
}
