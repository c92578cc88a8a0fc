/**
 * Tells what changed on the server, so that what shows it asks again.
 *
 * A change is `{topic: "snapshots" | "events" | "scripts", ids: [...] | null}` (null: too many to name) or
 * `{topic: "all"}`. Every 30 seconds all is asked for again, stream or not: a message may be lost. A hidden tab holds
 * no stream, since the server has only so many.
 */

import { openStream } from "./api.js";

const POLL_MS = 30_000;
const TOPICS = { snapshots: "hosts", events: "hosts", scripts: "scripts" };

/**
 * `state` is "connecting", "live", "polling" (no stream to be had just now), "hidden" or "unreachable" (the last request
 * had no answer).
 */
export class Live {
  #state = "connecting";
  #isReachable = true;
  #listeners = new Set();
  #stateListeners = new Set();
  #stream = null;
  #timer = null;
  #host = null;

  get state() {
    return this.#isReachable ? this.#state : "unreachable";
  }

  /** Take note of whether the server answered a request. */
  heard(isReachable) {
    if (this.#isReachable === isReachable) return;
    this.#isReachable = isReachable;
    this.#tellState();
  }

  /** Call `listener` with each change; return what ends that. */
  onChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Call `listener` with each new state; return what ends that. */
  onState(listener) {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Begin to follow one host, or all for null; return what ends it. */
  start(host) {
    this.#host = host;
    const follow = () => (document.hidden ? this.#pause() : this.#resume());
    document.addEventListener("visibilitychange", follow);
    follow();
    return () => {
      document.removeEventListener("visibilitychange", follow);
      this.#stop();
    };
  }

  /** Ask for all of it now. */
  refresh() {
    this.#tell({ topic: "all" });
  }

  #resume() {
    if (this.#timer !== null) return;
    const wasHidden = this.#state === "hidden";
    this.#timer = setInterval(() => {
      if (this.#stream === null) this.#connect();
      this.refresh();
    }, POLL_MS);
    this.#connect();
    if (wasHidden) this.refresh();
  }

  #pause() {
    this.#stop();
    this.#enter("hidden");
  }

  #stop() {
    clearInterval(this.#timer);
    this.#timer = null;
    this.#disconnect();
  }

  #connect() {
    const stream = openStream(this.#host);
    this.#stream = stream;
    if (this.#state !== "polling") this.#enter("connecting");
    stream.onopen = () => {
      const missedSome = this.#state === "polling";
      this.#enter("live");
      if (missedSome) this.refresh();
    };
    stream.onerror = () => {
      // A browser goes on trying by itself, except after an answer such as 503.
      if (stream.readyState === EventSource.CLOSED) this.#disconnect();
      this.#enter("polling");
    };
    for (const [topic, field] of Object.entries(TOPICS)) {
      stream.addEventListener(topic, (message) => this.#tell({ topic, ids: JSON.parse(message.data)[field] ?? null }));
    }
  }

  #disconnect() {
    this.#stream?.close();
    this.#stream = null;
  }

  #enter(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.#tellState();
  }

  #tellState() {
    for (const listener of this.#stateListeners) listener(this.state);
  }

  #tell(change) {
    for (const listener of this.#listeners) listener(change);
  }
}

/** Tell whether a change is about a topic and, where ids are given on both sides, about this id. */
export function concerns(change, topic, id = null) {
  if (change.topic === "all") return true;
  return change.topic === topic && (id === null || change.ids === null || change.ids.includes(id));
}
