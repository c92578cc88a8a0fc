/** Icons: drawn here, so that nothing is fetched from elsewhere. Beside a word each, so hidden from screen readers. */

import { html } from "../html.js";

const PATHS = {
  critical: "M8.5 2h7L21 8.5v7L15.5 22h-7L3 15.5v-7zM12 7v6m0 4v.01",
  high: "M12 3 2 20.5h20zM12 10v5m0 3v.01",
  medium: "M12 2.5 21.5 12 12 21.5 2.5 12zM12 8v4.5m0 3v.01",
  low: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 11v5m0-8v.01",
  healthy: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M8 12.3l2.8 2.7L16 9.5",
  warning: "M12 3 2 20.5h20zM12 10v5m0 3v.01",
  unknown: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M9.6 9.5a2.5 2.5 0 1 1 3.4 2.3c-.7.3-1 .8-1 1.7m0 3v.01",
  resolved: "M5 12.5l4.5 4.5L19 7",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  download: "M12 4v11m-5-5 5 5 5-5M5 20h14",
  save: "M5 4h11l4 4v12H5zM8 4v5h7V4M8 20v-6h8v6",
  close: "M6 6l12 12M18 6 6 18",
  play: "M8 5.5v13l11-6.5z",
  stop: "M7 7h10v10H7z",
  script: "M6 8l4 4-4 4m7 0h5",
  policies: "M4 7h9m6 0h1M4 17h1m6 0h9M13 7a3 3 0 1 0 6 0 3 3 0 0 0-6 0M5 17a3 3 0 1 0 6 0 3 3 0 0 0-6 0",
  theme: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  leave: "M14 5V4H5v16h9v-1M10 12h11m-4-4 4 4-4 4",
  muted: "M6 9.5a6 6 0 0 1 9.5-4.9M18 10v5l2 3H9m-5 0 2-3v-3m4 9h4M3 3l18 18",
  maintenance: "M14.5 6.5a4 4 0 0 1 5-2.5l-3 3 1 2.5 2.5 1 3-3a4 4 0 0 1-6 4.5L9 20a2 2 0 0 1-4-4l8-6.5",
  refresh: "M20 12a8 8 0 1 1-2.5-5.8M20 3v5h-5",
};

/** One icon by name, as large as the text beside it. */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}

/** The product's mark. */
export function Mark() {
  return html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="8" /><path d="M5 17h5l3-8 5 15 3-7h6" />
  </svg>`;
}
