/** What the API's words mean to a reader. */

import { duration, percent } from "./format.js";

/** Severities, the worst first. */
export const SEVERITIES = ["critical", "high", "medium", "low"];

/** Event types: a title, and how their values are shown, where they have any; the highest one says nothing of some. */
export const EVENT_TYPES = {
  cpu_high: { title: "CPU stays high", value: percent },
  cpu_spike: { title: "CPU leapt up", value: percent },
  memory_high: { title: "Memory is short", value: percent },
  disk_full: { title: "Filesystem nearly full", value: percent },
  disk_forecast: { title: "Filesystem will be full", value: duration, withoutPeak: true },
  process_memory_high: { title: "One process holds much memory", value: percent },
  service_down: { title: "Service does not run", value: String },
  disk_health: { title: "Disk fails", value: String },
  host_down: { title: "Host is silent", value: duration },
  host_cloned: { title: "Two hosts use one key", value: String },
  deviation: { title: "Unlike what is usual", value: (score) => `${score.toFixed(1)} times` },
};

/** Return title and formatter of an event type, also of one that this page does not know. */
export function eventType(type) {
  return EVENT_TYPES[type] ?? { title: type.replaceAll("_", " "), value: String };
}

/** What mutes an event. */
export const MUTERS = { host_down: "muted: its host is down", maintenance: "muted: maintenance" };

export const HEALTH = {
  healthy: "Healthy",
  warning: "Warning",
  critical: "Critical",
  unknown: "Not seen yet",
};

/** How far a script is: a word, and the tone of its badge. */
export const SCRIPT_STATES = {
  queued: { word: "waiting", tone: "unknown" },
  running: { word: "being made", tone: "unknown" },
  ready: { word: "ready", tone: "healthy" },
  failed: { word: "failed", tone: "critical" },
  cancelled: { word: "cancelled", tone: "muted" },
};

/** Tell whether a script is still to come by itself. */
export const isToCome = (script) => script.state === "queued" || script.state === "running";

export const SCRIPT_TYPES = { bash: "bash", powershell: "PowerShell" };

/** What a host can wait for. */
export const RESOURCES = {
  cpu: "CPU",
  memory: "Memory",
  swap: "Swap",
  disk_space: "Disk space",
  disk_io: "Disk traffic",
  network: "Network",
  pressure: "Pressure",
  process: "Runaway process",
  leak: "Leak",
};
