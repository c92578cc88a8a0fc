/** Markup in JavaScript: a tagged template that makes Preact's elements. Text in it is text, never markup. */

import htm from "htm";
import { h } from "preact";

export const html = htm.bind(h);
