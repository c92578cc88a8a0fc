/** How fresh what a host sent is. */

/** Silent for longer than this many of its intervals, a host is late. */
const LATE_INTERVALS = 3;
const LATE_SECONDS = 15;

/** Return "never", "paused", "late" or "fresh"; `now` is the server's time in milliseconds. */
export function freshness(host, now) {
  if (!host.monitoring) return "paused";
  if (host.last_seen === null) return "never";
  const silent = (now - Date.parse(host.last_seen)) / 1000;
  return silent > Math.max(LATE_INTERVALS * (host.interval_seconds ?? 0), LATE_SECONDS) ? "late" : "fresh";
}
