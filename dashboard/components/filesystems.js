/** The filesystems of a host over the last three days, and when they will be full. */

import { useMemo } from "preact/hooks";
import { listFilesystems, serverNow } from "../api.js";
import { duration, percent } from "../format.js";
import { html } from "../html.js";
import { concerns } from "../live.js";
import { useNow, useResource } from "../resource.js";
import { visibleText } from "../visible.js";
import { Chart } from "./chart.js";
import { Loaded } from "./notice.js";
import { Panel } from "./panel.js";

// Of the oldest points there is one in two hours.
const STEP_SECONDS = 7200;
const LEAST_RANGE_SECONDS = 3600;
// A point comes every five minutes at the most.
const SPACING_MS = 60_000;
const MOST_SHOWN = 8;
const MOST_CHARACTERS = 60;

/** A chart of each filesystem, the fullest first. */
export function Filesystems({ host }) {
  const resource = useResource(
    `filesystems ${host.id}`,
    async (signal) => fullestFirst((await listFilesystems(host.id, signal)).items),
    (change) => concerns(change, "snapshots", host.id) || concerns(change, "events", host.id),
    SPACING_MS,
  );
  return html`<${Panel} title="Filesystems" id="filesystems" actions=${html`<span class="hint">last 3 days</span>`}>
    <${Loaded} resource=${resource} what="the filesystems" rows=${4}>
      ${(items) =>
        items.length === 0
          ? html`<p class="empty">No filesystem was measured yet.</p>`
          : html`<div class="charts">
              ${items.slice(0, MOST_SHOWN).map((one) => html`<${FilesystemChart} key=${one.mount} filesystem=${one} />`)}
            </div>`}
    <//>
  <//>`;
}

function FilesystemChart({ filesystem }) {
  const now = useNow();
  const chart = useMemo(
    () => ({
      title: visibleText(filesystem.mount, MOST_CHARACTERS),
      span: "the last three days",
      format: percent,
      most: 100,
      lines: [
        { name: "used_percent", label: "space" },
        ...(filesystem.inodes_percent.some((value) => value !== null)
          ? [{ name: "inodes_percent", label: "inodes" }]
          : []),
      ],
    }),
    [filesystem],
  );
  const history = useMemo(() => historyOf(filesystem, serverNow() / 1000), [filesystem]);
  return html`<div class="filesystem">
    <${Chart} chart=${chart} history=${history} />
    <${FullAt} at=${filesystem.full_at} what="Full" now=${now} />
    <${FullAt} at=${filesystem.inodes_full_at} what="Out of inodes" now=${now} />
  </div>`;
}

function FullAt({ at, what, now }) {
  if (at === null) return null;
  return html`<p class="full-at">${what} in about ${duration((Date.parse(at) - now) / 1000)} at this pace</p>`;
}

function historyOf({ t, used_percent, inodes_percent }, to) {
  const series = Object.entries({ used_percent, inodes_percent }).map(([name, values]) => [
    name,
    { t, avg: values, min: values, max: values },
  ]);
  return {
    from: Math.min(t[0], to - LEAST_RANGE_SECONDS),
    to,
    step: STEP_SECONDS,
    first: t[0],
    series: Object.fromEntries(series),
  };
}

function fullestFirst(items) {
  return items.filter((one) => one.t.length > 0).sort((a, b) => latest(b) - latest(a));
}

function latest({ used_percent, inodes_percent }) {
  return Math.max(used_percent.at(-1) ?? 0, inodes_percent.at(-1) ?? 0);
}
