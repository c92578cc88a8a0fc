/** Maintenance of a host, or of the fleet and its tags: a button, and the dialog behind it. */

import { useState } from "preact/hooks";
import { html } from "../html.js";
import { Icon } from "./icon.js";
import { MaintenanceDialog } from "./maintenance-dialog.js";

/** `host` is null for the fleet; `onChanged` is called when maintenance was announced or ended. */
export function MaintenanceControl({ host, onChanged }) {
  const [isOpen, setOpen] = useState(false);
  const close = () => {
    setOpen(false);
    onChanged();
  };
  return html`
    <button type="button" onClick=${() => setOpen(true)}>
      <${Icon} name="maintenance" />Maintenance…
    </button>
    ${isOpen && html`<${MaintenanceDialog} host=${host} onClosed=${close} />`}
  `;
}
