/**
 * Bash, well enough to colour it: comments, strings, expansions, keywords, here-documents. It reads every text to its
 * end and loses none of it; on what is no bash only the colours are wrong.
 */

import { Tokens } from "./tokens.js";

const KEYWORDS = new Set(
  (
    "if then elif else fi for while until do done case esac in function select time " +
    "return break continue exit local declare readonly export set shift trap unset"
  ).split(" "),
);
const EXPANSION = /\$(?:\{[^{}\n]*\}|[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])/y;
const WORD = /[^\s"'$`\\#;&|<>(){}]+|#/y;
const FLAG = /^--?[A-Za-z][\w-]*$/;
const ASSIGNMENT = /^([A-Za-z_][A-Za-z0-9_]*)(\+?=)/;
const HERE_DOCUMENT = /<<-?\s*(?:'(\w+)'|"(\w+)"|\\?(\w+))/y;

/** Return the tokens of a script. */
export function bashTokens(text) {
  const tokens = new Tokens();
  const end = code(text, 0, tokens, "");
  tokens.add("", text.slice(end));
  return tokens.list;
}

/** Read code from `at` to its end, or to the `closing` character outside all brackets; return where that is. */
function code(text, at, tokens, closing) {
  let depth = 0;
  const waiting = [];
  while (at < text.length) {
    const character = text[at];
    if (depth === 0 && character === closing) return at;
    if (character === "(") depth += 1;
    if (character === ")") depth = Math.max(0, depth - 1);
    if (character === "\n" && waiting.length > 0) {
      at = hereDocument(text, at, tokens, waiting.shift());
    } else if (character === "#" && (at === 0 || /[\s;&|(]/.test(text[at - 1]))) {
      at = upTo(text, at, "\n", "comment", tokens);
    } else if (character === "'" || text.startsWith("$'", at)) {
      at = single(text, at, tokens);
    } else if (character === '"') {
      at = double(text, at, tokens);
    } else if (character === "$") {
      at = expansion(text, at, tokens);
    } else if (character === "\\") {
      tokens.add("", text.slice(at, at + 2));
      at += 2;
    } else if (
      character === "<" &&
      ((HERE_DOCUMENT.lastIndex = at), text[at + 2] !== "<") &&
      HERE_DOCUMENT.test(text)
    ) {
      HERE_DOCUMENT.lastIndex = at;
      const match = HERE_DOCUMENT.exec(text);
      waiting.push(match[1] ?? match[2] ?? match[3]);
      tokens.add("", match[0]);
      at += match[0].length;
    } else {
      at = word(text, at, tokens);
    }
  }
  return at;
}

function word(text, at, tokens) {
  WORD.lastIndex = at;
  const match = WORD.exec(text);
  if (!match) {
    tokens.add("", text[at]);
    return at + 1;
  }
  const found = match[0];
  const assigned = ASSIGNMENT.exec(found);
  if (assigned) {
    tokens.add("variable", assigned[1]);
    tokens.add("", found.slice(assigned[1].length));
  } else {
    tokens.add(wordKind(text, at, found), found);
  }
  return at + found.length;
}

function wordKind(text, at, found) {
  if (KEYWORDS.has(found)) return "keyword";
  if (/^\d+$/.test(found)) return "number";
  if (FLAG.test(found) && /\s/.test(text[at - 1] ?? "")) return "flag";
  if (text.startsWith("()", at + found.length)) return "function";
  return "";
}

function single(text, at, tokens) {
  const isAnsi = text[at] === "$";
  let end = at + (isAnsi ? 2 : 1);
  while (end < text.length && text[end] !== "'") end += isAnsi && text[end] === "\\" ? 2 : 1;
  tokens.add("string", text.slice(at, end + 1));
  return Math.min(text.length, end + 1);
}

function double(text, at, tokens) {
  tokens.add("string", '"');
  at += 1;
  while (at < text.length && text[at] !== '"') {
    if (text[at] === "$") {
      at = expansion(text, at, tokens);
    } else {
      const length = text[at] === "\\" ? 2 : 1;
      tokens.add("string", text.slice(at, at + length));
      at += length;
    }
  }
  tokens.add("string", text.slice(at, at + 1));
  return Math.min(text.length, at + 1);
}

function expansion(text, at, tokens) {
  if (text.startsWith("$(", at)) {
    tokens.add("variable", "$(");
    const end = code(text, at + 2, tokens, ")");
    tokens.add("variable", text.slice(end, end + 1));
    return Math.min(text.length, end + 1);
  }
  EXPANSION.lastIndex = at;
  const match = EXPANSION.exec(text);
  if (match) {
    tokens.add("variable", match[0]);
    return at + match[0].length;
  }
  tokens.add("", "$");
  return at + 1;
}

function hereDocument(text, at, tokens, word) {
  const rest = text.slice(at + 1);
  const end = new RegExp(`^\\t*${word}$`, "m").exec(rest);
  const stop = end ? at + 1 + end.index + end[0].length : text.length;
  tokens.add("string", text.slice(at, stop));
  return stop;
}

function upTo(text, at, mark, kind, tokens) {
  const found = text.indexOf(mark, at);
  const end = found === -1 ? text.length : found;
  tokens.add(kind, text.slice(at, end));
  return end;
}
