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

/** Put the host into the address, so that a reload, a bookmark or the way back shows it again. */
export function chooseHost(name) {
  location.hash = new URLSearchParams({ host: name });
}

/** Tell whether the address names the page of policies. */
export function isOnPolicies() {
  return read().has("policies");
}

function read() {
  return new URLSearchParams(location.hash.slice(1));
}
