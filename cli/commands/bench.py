"""``fleetmedic bench``: measure this machine with Fleetmedic's real parts."""

import json
import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from typing import Any

from cli.arguments import interval, minutes, whole_number
from cli.bench.api import command as api
from cli.bench.detect import command as detect
from cli.bench.faults import command as faults
from cli.interruption import heed_in_finalizers


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    benches = parser.add_subparsers(title="benches", dest="bench", metavar="BENCH", required=True)

    def bench(name: str, description: str, bench_run: Callable[[Namespace, Mapping[str, str]], int]) -> ArgumentParser:
        made = benches.add_parser(name, help=description, description=description[0].upper() + description[1:] + ".")
        made.add_argument("--json", action="store_true", help="print one JSON object")
        made.set_defaults(bench_run=bench_run)
        return made

    ingest = bench("ingest", "how fast workers take in what a fleet pushed, and what it costs", _ingest)
    _add_database(ingest)
    ingest.add_argument(
        "--hosts", type=whole_number(1, 1_000_000), default=10_000, metavar="N", help="default: %(default)s"
    )
    ingest.add_argument(
        "--rounds", type=whole_number(1, 1000), default=6, metavar="R", help="snapshots of each (default: %(default)s)"
    )
    ingest.add_argument(
        "--workers",
        type=whole_number(1, 64),
        metavar="W",
        help="processes of the worker that drain at the same time (default: as `fleetmedic worker` has it)",
    )
    ingest.add_argument(
        "--processes",
        type=whole_number(0, 50),
        default=1,
        metavar="P",
        help="that a snapshot lists by CPU, and as many by memory (default: %(default)s)",
    )
    ingest.add_argument(
        "--live",
        action="store_true",
        help="push at the pace of a fleet while the workers drain, instead of preloading; --rounds does not count then",
    )
    ingest.add_argument(
        "--minutes", type=minutes, default=1.0, metavar="M", help="of pushing with --live (default: %(default)s)"
    )
    ingest.add_argument(
        "--interval", type=interval, default=30.0, metavar="S", help="of each host with --live (default: 30)"
    )
    scripts = bench(
        "scripts", "how long it takes from asking for a script to having it, also while workers are killed", _scripts
    )
    _add_database(scripts)
    _add_seconds(scripts, 30, "of each of two runs, without and with workers killed")
    scripts.add_argument(
        "--rate", type=whole_number(1, 1000), default=50, metavar="N", help="jobs a second (default: %(default)s)"
    )
    scripts.add_argument(
        "--workers", type=whole_number(1, 16), default=2, metavar="W", help="that run (default: %(default)s)"
    )
    scripts.add_argument(
        "--kills",
        type=whole_number(0, 1000),
        default=3,
        metavar="K",
        help="of a whole worker, in turn, in the second run (default: %(default)s)",
    )
    flood = bench("flood", "what hosts notice of one that floods, in the same shard and in another", _flood)
    _add_database(flood)
    _add_seconds(flood, 10, "of each of three measurements: without a flood and with two")
    collector = bench(
        "collector",
        "what the collector costs on this machine, beside node_exporter where that is installed",
        _collector,
    )
    _add_seconds(collector, 60, "of measuring")
    collector.add_argument(
        "--interval",
        type=whole_number(1, 3600),
        default=1,
        metavar="I",
        help="seconds between collections, and between scrapes (default: %(default)s)",
    )
    collector.add_argument(
        "--processes",
        type=whole_number(0, 10_000),
        default=0,
        metavar="P",
        help="that sleep beside those of this machine (default: %(default)s)",
    )
    detect.add_arguments(
        bench("detect", "how good the events of deviation are, on labelled series of other people", _detect)
    )
    faults.add_arguments(
        bench("faults", "that nothing is lost, doubled or invented while every part is made to fail", _faults)
    )
    pages = bench("api", "how long pages and charts take where there is a month of history", _api)
    _add_database(pages)
    _add_seconds(pages, 60, "of asking")
    api.add_arguments(pages)


def _add_database(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--database",
        default="sqlite",
        metavar="D",
        help="sqlite, postgres (one of its own) or the URL of a Postgres server, where a database is made and dropped "
        "(default: %(default)s)",
    )


def _add_seconds(parser: ArgumentParser, default: int, of_what: str) -> None:
    parser.add_argument(
        "--seconds",
        type=whole_number(1, 3600),
        default=default,
        metavar="S",
        help=f"{of_what} (default: %(default)s)",
    )


def run(arguments: Namespace, environment: Mapping[str, str]) -> int:
    """Run the bench; return 1 where something was lost or is there twice."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # What it started would otherwise run on.
    heed_in_finalizers()
    code: int = arguments.bench_run(arguments, environment)
    return code


def _scripts(arguments: Namespace, environment: Mapping[str, str]) -> int:
    from cli.bench import scripts

    plan = scripts.Plan(arguments.database, arguments.seconds, arguments.rate, arguments.workers, arguments.kills)
    figures = scripts.run(plan, environment, _speaker())
    print(json.dumps(figures, indent=2) if arguments.json else _summary_of_scripts(figures))
    if figures["lost"]:
        print("fleetmedic: not every script that was asked for is there", file=sys.stderr)
    return 1 if figures["lost"] else 0


def _summary_of_scripts(figures: Mapping[str, Any]) -> str:
    killed = figures["worker_killed"]
    return f"""\
{figures["database_version"]}, {figures["jobs_per_second"]:g} jobs/s, workers: {figures["workers"]}

left alone  {figures["jobs"]:,} jobs, p50 {figures["p50_ms"]} ms, p99 {figures["p99_ms"]} ms
killed      {killed["jobs"]:,} jobs, p50 {killed["p50_ms"]} ms, p99 {killed["p99_ms"]} ms, max {killed["max_ms"]} ms, \
{killed["answered_before_ready"]:,} answered before they were ready
            {killed["processes_killed"]} processes killed, whole workers {killed["workers_killed"]} times
scripts     {figures["scripts_ready"]:,} of {figures["scripts_asked_for"]:,}, {figures["lost"]:,} lost"""


def _collector(arguments: Namespace, environment: Mapping[str, str]) -> int:
    from cli.bench import collector

    plan = collector.Plan(arguments.seconds, arguments.interval, arguments.processes)
    figures = collector.run(plan, environment, _speaker())
    print(json.dumps(figures, indent=2) if arguments.json else _summary_of_collector(figures))
    return 0


def _summary_of_collector(figures: Mapping[str, Any]) -> str:
    peer = figures["node_exporter"]
    beside = (
        f"{peer['cpu_ms_per_scrape']:.2f} ms of CPU a scrape, {peer['rss_mb']:g} MB resident, version {peer['version']}"
        if peer
        else "not installed"
    )
    return f"""\
{figures["collections"]:,} collections, one every {figures["interval_seconds"]} s, {figures["processes"]:,} processes, \
Python {figures["python_version"]}

collector      {figures["cpu_ms_per_collection"]:.2f} ms of CPU a collection, {figures["rss_mb"]:g} MB resident
node_exporter  {beside}"""


def _api(arguments: Namespace, environment: Mapping[str, str]) -> int:
    return api.run(arguments, environment, _speaker())


def _detect(arguments: Namespace, environment: Mapping[str, str]) -> int:
    return detect.run(arguments, environment, _speaker())


def _faults(arguments: Namespace, environment: Mapping[str, str]) -> int:
    return faults.run(arguments, environment, _speaker())


def _flood(arguments: Namespace, environment: Mapping[str, str]) -> int:
    from cli.bench import flood

    figures = flood.run(flood.Plan(arguments.database, arguments.seconds), environment, _speaker())
    print(json.dumps(figures, indent=2) if arguments.json else _summary_of_flood(figures))
    return 0


def _summary_of_flood(figures: Mapping[str, Any]) -> str:
    lines = [
        f"{figures['database_version']}, {figures['hosts']} hosts at 1 s, the flood named after "
        f"{figures['named_after_seconds']:g} s",
        "",
        "from push to acknowledgement, p50 / p99       same shard       other shard   taken in of the flood",
    ]
    for title, name in (
        ("without a flood", "without"),
        ("with 1,000 a second", "with_1000_a_second"),
        ("with 100,000 at once every 2 s", "with_100000_at_once"),
    ):
        one = figures[name]
        same, other = (f"{one[shard]['p50_ms']} / {one[shard]['p99_ms']} ms" for shard in ("same_shard", "other_shard"))
        lines.append(f"{title:<38} {same:>17} {other:>17} {one['taken_in_of_the_flood_a_second']:>19g} /s")
    return "\n".join(lines)


def _ingest(arguments: Namespace, environment: Mapping[str, str]) -> int:
    if arguments.live:
        return _live(arguments, environment)
    from cli.bench import ingest

    plan = ingest.Plan(arguments.database, arguments.hosts, arguments.rounds, arguments.workers, arguments.processes)
    figures = ingest.run(plan, environment, _speaker())
    print(json.dumps(figures, indent=2) if arguments.json else _summary(figures))
    wrong = figures["rows_found"] != figures["rows_expected"] or figures["duplicates"] or figures["missing"]
    if wrong:
        print("fleetmedic: not every snapshot is in the database once", file=sys.stderr)
    return 1 if wrong else 0


def _live(arguments: Namespace, environment: Mapping[str, str]) -> int:
    from cli.bench import live

    plan = live.Plan(
        arguments.database,
        arguments.hosts,
        arguments.minutes,
        arguments.interval,
        arguments.workers,
        arguments.processes,
    )
    figures = live.run(plan, environment, _speaker())
    print(json.dumps(figures, indent=2) if arguments.json else _summary_of_live(figures))
    wrong = figures["rows_found"] != figures["rows_expected"] or figures["events_unseen"]
    if wrong:
        print("fleetmedic: not every snapshot is in the database, or not every event was seen", file=sys.stderr)
    return 1 if wrong else 0


def _summary_of_live(figures: Mapping[str, Any]) -> str:
    cpu = ", ".join(
        f"{part} {'-' if used is None else f'{used:.1f} s'}" for part, used in figures["cpu_seconds"].items()
    )
    lag, visible = figures["lag_seconds"], figures["event_visible_ms"]
    return f"""\
{figures["snapshots"]:,} snapshots of {figures["hosts"]:,} hosts, each every {figures["interval_seconds"]:g} s
{figures["database_version"]}, Redis {figures["redis_version"]}, Python {figures["python_version"]}, \
{figures["worker_children"]} worker processes on {figures["cores"]} cores

pushed       {figures["snapshots_per_second"]:,} snapshots/s of {figures["snapshots_per_second_wanted"]:,} wanted, \
{figures["pushers_late_seconds"]:g} s late at the worst
lag          p50 {lag["p50"]} s, p99 {lag["p99"]} s, at most {lag["max"]} s
events       {figures["events_measured"]:,} seen after p50 {visible["p50"]} ms, p99 {visible["p99"]} ms, \
{figures["events_unseen"]:,} not seen
CPU          {cpu}
a snapshot   {figures["cpu_us_per_snapshot"]:.1f} µs of CPU, \
and {figures["pushers_cpu_us_per_snapshot"]:.1f} µs to simulate it
rows         {figures["rows_found"]:,} of {figures["rows_expected"]:,}"""


def _speaker() -> Callable[[str], None]:
    """Return what prints a line with the seconds since now, on a terminal only."""
    began = time.monotonic()

    def say(text: str) -> None:
        if sys.stderr.isatty():
            print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    return say


def _summary(figures: Mapping[str, Any]) -> str:
    cpu = ", ".join(
        f"{part} {'-' if used is None else f'{used:.2f} s'}" for part, used in figures["cpu_seconds"].items()
    )
    cost = figures["cpu_seconds_per_million_samples"]
    return f"""\
{figures["snapshots"]:,} snapshots of {figures["hosts"]:,} hosts, {figures["body_bytes"]:,} bytes each
{figures["database_version"]}, Redis {figures["redis_version"]}, Python {figures["python_version"]}, \
{figures["worker_children"]} worker processes on {figures["cores"]} cores

drained      {figures["seconds"]:.2f} s, {figures["snapshots_per_second"]:,} snapshots/s
CPU          {cpu}
a snapshot   {figures["drain_us_per_snapshot"]:.1f} µs of CPU to drain, {figures["push_us_per_snapshot"]:.1f} µs to push
samples      {figures["samples_per_snapshot"]:g} a snapshot, {"-" if cost is None else f"{cost:.3f}"} s of CPU a million
rows         {figures["rows_found"]:,} of {figures["rows_expected"]:,}, {figures["missing"]:,} missing, \
{figures["duplicates"]:,} twice, {figures["dead_letters"]:,} dead letters
events       {figures["events_opened"]:,} opened"""
