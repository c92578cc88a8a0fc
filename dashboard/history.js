/** A host's history as charts take it: from the API's buckets to columns of equal length. */

import { showMetrics } from "./api.js";

const RANGE_SECONDS = 3600;
const LEAST_RANGE_SECONDS = 300;
// Steps are whole seconds, and both ends of the time cut into one: with this an hour has steps of 20 seconds.
const POINTS = 181;

/**
 * Load the last hour of these metrics, or what there is of it: a host seen for three minutes has a chart of five, and
 * not a dot at the end of an hour. `firstSeen` is the `first` of the answer before, null at first. Return `{from, to,
 * step, first, series}`, in Unix seconds; `first` is null where there is nothing.
 */
export async function loadHistory(host, names, now, firstSeen, signal) {
  const to = now / 1000;
  const since = (first) => Math.max(to - RANGE_SECONDS, Math.min(first, to - LEAST_RANGE_SECONDS));
  let from = since(firstSeen ?? 0);
  let answer = await ask(host, names, from, to, signal);
  const first = firstTime(answer.series);
  if (firstSeen === null && first !== null && since(first) > from + answer.step_seconds) {
    from = since(first);
    answer = await ask(host, names, from, to, signal);
  }
  return { from, to, step: answer.step_seconds, first, series: answer.series };
}

/**
 * Return columns for a chart: the times, then for each name its averages, minima and maxima. All have the times of all;
 * a null is a gap, and where nothing came for longer than `gapSeconds` there is a time with nulls only.
 */
export function columns(series, names, gapSeconds) {
  const times = [...new Set(names.flatMap((name) => series[name].t))].sort((a, b) => a - b);
  const withGaps = times.flatMap((t, i) =>
    i > 0 && t - times[i - 1] > gapSeconds ? [(t + times[i - 1]) / 2, t] : [t],
  );
  const values = names.flatMap((name) => {
    const { t, avg, min, max } = series[name];
    const place = new Map(t.map((time, i) => [time, i]));
    return [avg, min, max].map((column) => withGaps.map((time) => column[place.get(time)] ?? null));
  });
  return [withGaps, ...values];
}

function ask(host, names, from, to, signal) {
  return showMetrics(host, { names: names.join(","), from, to, points: POINTS }, signal);
}

function firstTime(series) {
  const firsts = Object.values(series)
    .filter((one) => one.t.length > 0)
    .map((one) => one.t[0]);
  return firsts.length > 0 ? Math.min(...firsts) : null;
}
