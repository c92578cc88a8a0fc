/** Tokens of code: `[kind, text]`, whose texts in a row are the code again. Kind is "" for what has no colour. */

/** Return the tokens line by line; one that goes over several lines is cut at their ends. */
export function linesOf(tokens) {
  const lines = [[]];
  for (const [kind, text] of tokens) {
    text.split("\n").forEach((piece, i) => {
      if (i > 0) lines.push([]);
      if (piece) lines.at(-1).push([kind, piece]);
    });
  }
  if (lines.at(-1).length === 0) lines.pop();
  return lines;
}

/** Collects tokens; neighbours of one kind become one. */
export class Tokens {
  list = [];

  /** Add a text of a kind. */
  add(kind, text) {
    if (!text) return;
    const last = this.list.at(-1);
    if (last?.[0] === kind) last[1] += text;
    else this.list.push([kind, text]);
  }
}
