/** A host's history as charts take it: from the API's buckets to columns of equal length. */

import { showMetrics } from "./api.js";

const RANGE_SECONDS = 3600;
const LEAST_RANGE_SECONDS = 300;
const POINTS = 180;
const FINEST_POINTS = 120;

/**
 * Load the last hour of these metrics, or what there is of it: a host seen for three minutes has a chart of five, and
 * not a dot at the end of an hour. Return `{from, to, series}`, the times in Unix seconds.
 */
export async function loadHistory(host, names, now, firstSeen, signal) {
  const to = now / 1000;
  let from = Math.max(to - RANGE_SECONDS, Math.min(firstSeen ?? 0, to - LEAST_RANGE_SECONDS));
  let answer = await ask(host, names, from, to, POINTS, signal);
  const first = firstTime(answer.series);
  if (first !== null && to - first < RANGE_SECONDS / 3 && from < first - LEAST_RANGE_SECONDS) {
    from = Math.min(first, to - LEAST_RANGE_SECONDS);
    answer = await ask(host, names, from, to, FINEST_POINTS, signal);
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

function ask(host, names, from, to, points, signal) {
  return showMetrics(host, { names: names.join(","), from, to, points }, signal);
}

function firstTime(series) {
  const firsts = Object.values(series)
    .filter((one) => one.t.length > 0)
    .map((one) => one.t[0]);
  return firsts.length > 0 ? Math.min(...firsts) : null;
}
