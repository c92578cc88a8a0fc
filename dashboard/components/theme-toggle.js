/** Light, dark, or as the system has it. */

import { useEffect, useState } from "preact/hooks";
import { html } from "../html.js";
import { Icon } from "./icon.js";

const KEY = "fleetmedic-theme";
const NEXT = { system: "light", light: "dark", dark: "system" };

/** A button that goes through the three, kept in this browser (see first-paint.js). */
export function ThemeToggle() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? "system");
  useEffect(() => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // Then it holds until the page is left.
    }
    window.dispatchEvent(new Event("themechange"));
  }, [theme]);
  const label = `Theme: ${theme}`;
  const next = () => setTheme(NEXT[theme]);
  return html`<button type="button" class="quiet" onClick=${next} aria-label=${label} title=${label}>
    <${Icon} name="theme" />
  </button>`;
}
