/** PowerShell, well enough to colour it; like bash.js it loses no character. */

import { Tokens } from "./tokens.js";

const KEYWORDS =
  "begin|break|catch|class|continue|default|do|else|elseif|end|exit|filter|finally|for|foreach|function|if|in|param|" +
  "process|return|switch|throw|trap|try|until|while";

// The first that fits at a place wins; all are sticky and without regard to case.
const RULES = [
  ["comment", "<#[\\s\\S]*?(?:#>|$(?![\\s\\S]))|#[^\\n]*"],
  ["string", "@'\\r?\\n[\\s\\S]*?\\n'@|@\"\\r?\\n[\\s\\S]*?\\n\"@|'(?:[^']|'')*(?:'|$(?![\\s\\S]))"],
  ["string", '"(?:`[\\s\\S]|""|[^"`])*(?:"|$(?![\\s\\S]))'],
  ["variable", "\\$(?:\\{[^}]*\\}|(?:\\w+:)?\\w+|[$?^])|@\\w+"],
  ["number", "\\b\\d[\\d.]*(?:[kmgtp]b)?\\b|\\b0x[0-9a-f]+\\b"],
  ["keyword", `\\b(?:${KEYWORDS})\\b(?!-)`],
  ["function", "\\b[a-z]+-[a-z]\\w*\\b"],
  ["flag", "(?<=[\\s(])-[a-z]\\w*"],
  ["type", "\\[[a-z][\\w.]*(?:\\[\\])?\\]"],
  ["", "\\w+|\\s+|[\\s\\S]"],
].map(([kind, pattern]) => [kind, new RegExp(pattern, "iy")]);

/** Return the tokens of a script. */
export function powershellTokens(text) {
  const tokens = new Tokens();
  let at = 0;
  while (at < text.length) {
    for (const [kind, pattern] of RULES) {
      pattern.lastIndex = at;
      const match = pattern.exec(text);
      if (!match) continue;
      tokens.add(kind, match[0]);
      at += match[0].length;
      break;
    }
  }
  return tokens.list;
}
