/** What stands behind the # of the page's address: never sent to the server, so it may hold a secret. */

/** Return the sign-in code in the address, null without one; it leaves the address and the history at once. */
export function takeCode() {
  const code = read().get("code");
  if (code !== null) history.replaceState(null, "", location.pathname);
  return code;
}

/** Return the host that the address names, null for none. */
export function chosenHost() {
  return read().get("host");
}

/** Put the host into the address, so that a reload or a bookmark shows it again. */
export function rememberHost(name) {
  history.replaceState(null, "", `#${new URLSearchParams({ host: name })}`);
}

function read() {
  return new URLSearchParams(location.hash.slice(1));
}
