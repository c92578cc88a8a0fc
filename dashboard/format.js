/** Numbers, sizes and times in words. Null and undefined become a dash. */

const NONE = "–";
const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
// A number and its unit stay on one line.
const JOIN = "\u00a0";

/** 34.4 % */
export function percent(value, digits = 1) {
  return isMissing(value) ? NONE : `${value.toFixed(value >= 99.95 ? 0 : digits)}${JOIN}%`;
}

/** 3.1 GiB */
export function bytes(value) {
  if (isMissing(value)) return NONE;
  let scaled = Math.max(value, 0);
  let unit = 0;
  while (scaled >= 1023.95 && unit < BYTE_UNITS.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return `${scaled.toFixed(unit === 0 || scaled >= 99.95 ? 0 : 1)}${JOIN}${BYTE_UNITS[unit]}`;
}

/** 3.1 MiB/s */
export function bytesPerSecond(value) {
  return isMissing(value) ? NONE : `${bytes(value)}/s`;
}

/** 0.42 */
export function decimal(value) {
  return isMissing(value) ? NONE : value.toFixed(value >= 99.95 ? 0 : 2);
}

/** 1,234 */
export function count(value) {
  return isMissing(value) ? NONE : Math.round(value).toLocaleString("en-US");
}

/** 41 °C */
export function celsius(value) {
  return isMissing(value) ? NONE : `${value.toFixed(0)}${JOIN}°C`;
}

/** 40 s, 12 min, 3 h 5 min, 12 d 4 h */
export function duration(seconds) {
  if (isMissing(seconds)) return NONE;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}${JOIN}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}${JOIN}min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return two(hours, "h", minutes % 60, "min");
  return two(Math.floor(hours / 24), "d", hours % 24, "h");
}

/** 14:03:20 today, else 23 Nov, 14:03; local time. `now` and the moment are in milliseconds. */
export function clock(moment, now) {
  const at = new Date(moment);
  if (at.toDateString() === new Date(now).toDateString()) return at.toLocaleTimeString("en-GB");
  const day = at.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return `${day}, ${at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}`;
}

function two(large, largeUnit, small, smallUnit) {
  const first = `${large}${JOIN}${largeUnit}`;
  return small ? `${first} ${small}${JOIN}${smallUnit}` : first;
}

function isMissing(value) {
  return typeof value !== "number" || !Number.isFinite(value);
}
