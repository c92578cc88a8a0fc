/** How any part of the page opens the dialog of a script. */

import { createContext } from "preact";

/**
 * A function that takes what is asked for: `{key, scriptId}` for one that is there, `{key, event}` for one that answers
 * an event, `{key, issueType?, scriptType?, host?, eventId?, parameters?}` for a form. Another key is another dialog.
 */
export const ScriptContext = createContext(() => {});
