/** Every request that the page makes. Each returns what the API answered, or throws RequestFailed. */

const TIMEOUT_MS = 20_000;

/** An answer other than success, or none. The message is for the person who reads it. */
export class RequestFailed extends Error {
  /** `status` is 0 when the server did not answer; `field` names the parameter at fault, where one is. */
  constructor(message, status, field = null) {
    super(message);
    this.status = status;
    this.field = field;
  }
}

let serverAheadMs = 0;
let tellSignedOut = () => {};

/** Return the server's time in milliseconds: times in answers are its own, and a browser's clock may be wrong. */
export function serverNow() {
  return Date.now() + serverAheadMs;
}

/** Call `listener` whenever an answer says that nobody is signed in. */
export function onSignedOut(listener) {
  tellSignedOut = listener;
}

export const signInWithCode = (code) => send("POST", "/api/v1/session", { code });
export const signInWithToken = (token) => send("POST", "/api/v1/session", { token });
export const signOut = () => send("DELETE", "/api/v1/session");

/** Tell whether this browser is signed in. */
export async function isSignedIn() {
  try {
    await get("/api/v1/session");
    return true;
  } catch (error) {
    if (error.status === 401) return false;
    throw error;
  }
}

export const fleetSummary = (signal) => get("/api/v1/fleet/summary", {}, signal);
export const listHosts = (query, signal) => get("/api/v1/hosts", query, signal);
export const showHost = (host, signal) => get(`/api/v1/hosts/${part(host)}`, {}, signal);
export const showMetrics = (host, query, signal) => get(`/api/v1/hosts/${part(host)}/metrics`, query, signal);
export const listFilesystems = (host, signal) => get(`/api/v1/hosts/${part(host)}/filesystems`, {}, signal);
export const listProcesses = (host, signal) => get(`/api/v1/hosts/${part(host)}/processes`, {}, signal);

/** Show the host that the server itself would take, and the fleet around it. */
export const monitorStatus = (signal) => get("/api/agent/monitor/status", {}, signal);
export const startMonitoring = (host) => send("POST", "/api/agent/monitor/start", { host });
export const stopMonitoring = (host) => send("POST", "/api/agent/monitor/stop", { host });
export const clearResolved = (host) => send("POST", "/api/agent/monitor/clear", { host });

export const listEvents = (query, signal) => get("/api/v1/events", query, signal);
/** List the last events that nobody cleared. */
export const recentEvents = (query, signal) => get("/api/agent/monitor/events", query, signal);

/** Each takes what is written on the event with it, empty for nothing; and returns the event. */
export const acknowledgeEvent = (id, note) => send("POST", `/api/v1/events/${part(id)}/acknowledge`, noteBody(note));
export const resolveEvent = (id, note) => send("POST", `/api/v1/events/${part(id)}/resolve`, noteBody(note));
export const addNote = (id, note) => send("POST", `/api/v1/events/${part(id)}/notes`, { note });
export const listNotes = (id, signal) => get(`/api/v1/events/${part(id)}/notes`, { limit: 1000 }, signal);

export const listPolicies = (query, signal) => get("/api/v1/policies", query, signal);
/** List what can be set of each type of event. */
export const listPolicyTypes = (signal) => get("/api/v1/policies/types", {}, signal);
export const createPolicy = (policy) => send("POST", "/api/v1/policies", policy);
export const changePolicy = (id, settings) => send("PUT", `/api/v1/policies/${part(id)}`, settings);
export const removePolicy = (id) => send("DELETE", `/api/v1/policies/${part(id)}`);
/** Replay the stored history as if a policy were saved. */
export const previewPolicy = (policy) => send("POST", "/api/v1/policies/preview", policy);
export const listPolicyVersions = (id, signal) => get(`/api/v1/policies/${part(id)}/versions`, { limit: 50 }, signal);

export const listIncidents = (query, signal) => get("/api/v1/incidents", query, signal);

export const listMaintenance = (query, signal) => get("/api/v1/maintenance", query, signal);
/** Announce maintenance: `{host | tag, starts_at?, hours | until | forever, reason}`; the host `*` is the fleet. */
export const announceMaintenance = (asked) => send("POST", "/api/v1/maintenance", asked);
export const endMaintenance = (id) => send("POST", `/api/v1/maintenance/${part(id)}/end`, {});

export const listRemedies = (signal) => get("/api/agent/generate-script/list", {}, signal);
/** Ask for a script; one that takes long comes back as `{id, state: "queued"}`. */
export const generateScript = (asked) => send("POST", "/api/agent/generate-script", asked);
export const showScript = (id, signal) => get(`/api/v1/scripts/${part(id)}`, {}, signal);
/** List scripts without their text: `{host?, event?, limit}`. */
export const listScripts = (query, signal) => get("/api/v1/scripts", query, signal);
export const cancelScript = (id) => send("POST", `/api/v1/scripts/${part(id)}/cancel`);
/** Have a script that failed or was cancelled made after all. */
export const retryScript = (id) => send("POST", `/api/v1/scripts/${part(id)}/retry`);
export const saveScript = (id) => send("POST", "/api/agent/generate-script/save", { id });
/** Return where a script can be downloaded from. */
export const scriptDownload = (id) => `/api/v1/scripts/${part(id)}/download`;

/** Say what holds a host back, or all of them by `*`, and what would help. */
export const optimize = (host, signal) => get("/api/agent/optimize", { host }, signal);

/** Open the stream of changes (server-sent events: snapshots, events, scripts) of one host, or of all for null. */
export const openStream = (host) => new EventSource(address("/api/v1/stream", { host }));

function noteBody(note) {
  return note ? { note } : {};
}

function part(text) {
  return encodeURIComponent(String(text));
}

function get(path, query = {}, signal = undefined) {
  return send("GET", address(path, query), undefined, signal);
}

function address(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = new URLSearchParams(given).toString();
  return search ? `${path}?${search}` : path;
}

async function send(method, path, body = undefined, signal = undefined) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  let document;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    document = await content(response);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new RequestFailed("The server does not answer. Is Fleetmedic still running?", 0);
  }
  const date = Date.parse(response.headers.get("Date") ?? "");
  // The header has whole seconds only: a difference below two is none.
  if (date) serverAheadMs = Math.abs(date - Date.now()) < 2000 ? 0 : date - Date.now();
  if (response.ok) return document;
  if (response.status === 401 && path !== "/api/v1/session") tellSignedOut();
  const detail = document?.detail ?? `the server answered ${response.status}`;
  throw new RequestFailed(sentence(detail, document?.field), response.status, document?.field);
}

/** Return what a problem document says as a sentence; the name of a field stays as it is. */
function sentence(detail, field) {
  const first = field && detail.startsWith(field) ? detail[0] : detail[0].toUpperCase();
  return `${first}${detail.slice(1)}${/[.!?]$/.test(detail) ? "" : "."}`;
}

async function content(response) {
  const text = await response.text();
  if (!(response.headers.get("Content-Type") ?? "").includes("json")) return null;
  return text ? JSON.parse(text) : null;
}
