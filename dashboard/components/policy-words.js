/** What a policy sets, in words. */

const NAMES = {
  limit: "limit",
  rise: "rise",
  opens_after_seconds: "opens after",
  clear_margin: "clears below by",
  hold_seconds: "held for",
};
const UNITS = { percent: " %", points: " points", seconds: " s", intervals: " intervals", hours: " hours", times: " times" };

/** Return the label of a setting's field. */
export function labelOf(setting) {
  const name = nameOf(setting);
  return name[0].toUpperCase() + name.slice(1);
}

/** Return all that a policy, or a version of it, sets. */
export function settingsInWords(policy, type) {
  if (policy.removed) return "removed";
  const said = Object.entries(type?.numbers ?? {})
    .filter(([name]) => policy[name] !== null && policy[name] !== undefined)
    .map(([name, { unit }]) => `${nameOf(name)} ${policy[name]}${UNITS[unit]}`);
  if (policy.enabled !== null) said.unshift(policy.enabled ? "on" : "off");
  if (policy.severity !== null) said.push(`severity ${policy.severity}`);
  return said.join(", ");
}

function nameOf(setting) {
  return NAMES[setting] ?? setting.replaceAll("_", " ");
}
