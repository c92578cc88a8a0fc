/** Data from the API that stays fresh: loaded at once, again when it changed, the old shown until the new is there. */

import { createContext } from "preact";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import { serverNow } from "./api.js";

export const LiveContext = createContext(null);

const clocks = new Set();
let ticking = null;

const NOTHING = { data: undefined, error: null };

/**
 * Return `{data, error, reload}`: data is undefined until it is there, and stays while a later load fails.
 *
 * `key` says what is loaded: another key starts from nothing. `load` gets an AbortSignal. `isAbout` tells which
 * changes call for a reload; they are answered at most once in `spacingMs`.
 */
export function useResource(key, load, isAbout, spacingMs = 1000) {
  const live = useContext(LiveContext);
  const [state, setState] = useState({ ...NOTHING, key });
  const latest = useRef({});
  latest.current = { load, isAbout };
  const runner = useRef(null);

  useEffect(() => {
    const control = new AbortController();
    let running = false;
    let again = false;
    let timer = null;
    let startedAt = 0;

    async function run() {
      timer = null;
      running = true;
      again = false;
      startedAt = performance.now();
      try {
        const data = await latest.current.load(control.signal);
        live.heard(true);
        if (!control.signal.aborted) setState({ data, error: null, key });
      } catch (error) {
        if (!control.signal.aborted) live.heard(error.status !== 0);
        if (!control.signal.aborted) setState((old) => ({ data: old.key === key ? old.data : undefined, error, key }));
      }
      running = false;
      if (again && !control.signal.aborted) schedule();
    }

    function schedule() {
      if (running) again = true;
      else timer ??= setTimeout(run, Math.max(0, spacingMs - (performance.now() - startedAt)));
    }

    runner.current = schedule;
    const unsubscribe = live.onChange((change) => latest.current.isAbout(change) && schedule());
    run();
    return () => {
      control.abort();
      clearTimeout(timer);
      unsubscribe();
    };
  }, [key, live, spacingMs]);

  const reload = useCallback(() => runner.current?.(), []);
  return { ...(state.key === key ? state : NOTHING), reload };
}

/** Return the server's time in milliseconds, anew every second. */
export function useNow() {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    const follow = () => setNow(serverNow());
    clocks.add(follow);
    // One timer for all, so that all ages on the page change at once.
    ticking ??= setInterval(() => clocks.forEach((tell) => tell()), 1000);
    return () => clocks.delete(follow);
  }, []);
  return now;
}

/** Return how the page hears of changes: the state of `Live`. */
export function useLiveState() {
  const live = useContext(LiveContext);
  const [state, setState] = useState(live.state);
  useEffect(() => {
    setState(live.state);
    return live.onState(setState);
  }, [live]);
  return state;
}

/**
 * Return `[run, {busy, error, done}]` for something that a person asks for by a button: `run(...)` calls `act` and
 * keeps what it answered or threw.
 */
export function useAction(act) {
  const [state, setState] = useState({ busy: false, error: null, done: null });
  const latest = useRef(act);
  latest.current = act;
  const run = useCallback(async (...given) => {
    setState({ busy: true, error: null, done: null });
    try {
      const done = await latest.current(...given);
      setState({ busy: false, error: null, done: done ?? true });
    } catch (error) {
      setState({ busy: false, error, done: null });
    }
  }, []);
  return [run, state];
}
