/** Text that a host sent is hostile text: it is shown as text, and what steers a reader's eye is shown as its code. */

// Controls, format characters (direction marks among them), surrogates, private, unassigned, line and paragraph ends.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u;

/**
 * Cut a text into parts: `{text}` to be shown as it is, `{code}` for a character to be shown as `U+202E`.
 * `whole` is false when there were more than `limit` characters.
 */
export function visibleParts(text, limit) {
  const parts = [];
  const characters = Array.from(String(text));
  for (const character of characters.slice(0, limit)) {
    if (HIDDEN.test(character)) {
      parts.push({ code: codeOf(character) });
    } else if (parts.at(-1)?.text === undefined) {
      parts.push({ text: character });
    } else {
      parts.at(-1).text += character;
    }
  }
  return { parts, whole: characters.length <= limit };
}

/** Return the text for a place that takes text only: a tooltip, an option, an announcement. */
export function visibleText(text, limit = 1024) {
  const { parts, whole } = visibleParts(text, limit);
  return parts.map((one) => one.text ?? `[${one.code}]`).join("") + (whole ? "" : "…");
}

function codeOf(character) {
  return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}
