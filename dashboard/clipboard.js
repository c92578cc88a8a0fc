/** Copying text. */

/** Put a text on the clipboard. Throws an Error that says so when the browser does not let us. */
export async function copyText(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Browsers have no clipboard API for a page that came by plain HTTP from another machine.
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "for-screen-readers";
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  if (!isCopied) throw new Error("The browser does not let this page copy: mark the code and copy it by hand.");
}
