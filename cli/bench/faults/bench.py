"""``bench faults``: nothing is lost, doubled or invented, whatever fails.

Simulated hosts that are collectors but for what they read push through a proxy to a real Redis; real workers take that
in, through another proxy, into a real Postgres. A seeded schedule does every kind of fault to all of it
(``cli.bench.faults.hazards``), and times how long it takes each time until acknowledgements flow again. Then the hosts
rest, and when all is acknowledged the store is held against what the hosts noted in their ledgers
(``cli.bench.faults.oracle``).
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import redis
from sqlalchemy.exc import DBAPIError

from cli.bench.faults import ledger
from cli.bench.faults.hazards import KINDS, Hazards
from cli.bench.faults.oracle import Verdict, Witnessed, judge
from cli.bench.faults.schedule import PATIENCE_SECONDS, Recoveries, Schedule
from cli.bench.faults.site import Site, running_site
from cli.errors import CommandFailed
from store.benchmark import version
from store.engine import reading
from store.testimony import stored_events, stored_gaps, stored_snapshots
from wire import keys

Say = Callable[[str], None]

WORKER = (sys.executable, "-m", "cli.main", "worker")
_QUIET_SECONDS = 120.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    minutes: float
    """Of faults; every kind is done once, even if that takes longer."""
    seed: int
    without: frozenset[str] = frozenset()
    """Kinds that are left out."""
    worker_command: Sequence[str] = WORKER


def run(plan: Plan, environment: Mapping[str, str], say: Say) -> dict[str, Any]:
    """Run the bench and return its figures (docs/benchmarks.md). Raises CommandFailed."""
    try:
        with ExitStack() as stack:
            folder = Path(
                stack.enter_context(TemporaryDirectory(prefix="fleetmedic-bench-", ignore_cleanup_errors=True))
            )
            say("starting Redis, Postgres, workers and hosts")
            site = stack.enter_context(running_site(folder, 60 * plan.minutes, plan.worker_command, environment))
            return _run(plan, site, say)
    except DBAPIError as error:
        first_line = str(error.orig).strip().partition("\n")[0]
        raise CommandFailed(f"the Postgres of this bench failed: {first_line}") from None
    except redis.RedisError as error:
        raise CommandFailed(f"the Redis of this bench failed: {error}") from None


def _run(plan: Plan, site: Site, say: Say) -> dict[str, Any]:
    recoveries = Recoveries(site.board)
    recoveries.start()
    try:
        random = Random(plan.seed)
        hazards = Hazards(site, random)
        kinds = [kind for kind in KINDS if kind not in plan.without]
        schedule = Schedule(kinds, 60 * plan.minutes, random)
        # What was acknowledged for every host once is at work.
        recoveries.expect("start")
        _wait_until(recoveries.settled, PATIENCE_SECONDS, site)

        def inflict(kind: str) -> bool:
            say(kind)
            return hazards.inflict(kind)

        began = time.monotonic()
        schedule.run(inflict, recoveries, site.look_after)
        seconds = time.monotonic() - began
        say("waiting for the last recovery")
        recovered = _wait_until(recoveries.settled, PATIENCE_SECONDS, site)
    finally:
        recoveries.stop()
    say("waiting until all is acknowledged")
    site.board.rest()
    quiet = _wait_until(lambda: _is_quiet(site), _QUIET_SECONDS, site)
    say("comparing")
    verdict, database_version = _judge(site)
    return {
        "produced": verdict.produced,
        "stored": verdict.stored,
        "declared": verdict.declared,
        "lost": verdict.lost,
        "duplicated": verdict.duplicated,
        "changed": verdict.changed,
        "events": verdict.events,
        "wrong_events": verdict.wrong_events,
        "unacknowledged": sum(host.last - host.acknowledged for host in site.board.progress()),
        "faults": dict(schedule.fired),
        "never_fired": [kind for kind in kinds if not schedule.fired[kind]],
        "without": sorted(plan.without),
        "recovery_seconds": {kind: spent for kind, spent in recoveries.figures().items() if kind in kinds},
        "recovered": recovered and quiet,
        "findings": verdict.findings + ([f"no disk can be mounted: {site.cannot_mount}"] if site.cannot_mount else []),
        "workers_ended_by_themselves": sum(worker.ended for worker in site.workers),
        "seed": plan.seed,
        "seconds": round(seconds, 1),
        "hosts": len(site.hosts),
        "machines": len(site.machines),
        "workers": len(site.workers),
        "database_version": database_version,
        "redis_version": site.client.info("server")["redis_version"],
    }


def is_clean(figures: Mapping[str, Any]) -> bool:
    """Say whether the run shows that nothing is wrong, and had every fault that was planned."""
    wrong = ("lost", "duplicated", "changed", "wrong_events", "unacknowledged", "never_fired")
    return figures["recovered"] and not any(figures[name] for name in wrong)


def _wait_until(condition: Callable[[], bool], seconds: float, site: Site) -> bool:
    """Wait for it, and say whether it came in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        site.look_after()
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _is_quiet(site: Site) -> bool:
    """Say whether everything is acknowledged, and every inbox is empty, of what was delivered twice too."""
    if any(host.acknowledged < host.last for host in site.board.progress()):
        return False
    pipeline = site.client.pipeline(transaction=False)
    for shard in range(keys.SHARDS):
        pipeline.llen(keys.inbox(shard))
    return not any(pipeline.execute())


def _judge(site: Site) -> tuple[Verdict, str]:
    with reading(site.engine) as connection:
        snapshots, gaps, events = (
            _by_host(rows)
            for rows in (stored_snapshots(connection), stored_gaps(connection), stored_events(connection))
        )
        database_version = version(connection)
    pushed: defaultdict[int, set[str]] = defaultdict(set)
    for host_id, body in site.witness.bodies():
        pushed[host_id].add(body)
    verdict = Verdict()
    for host in site.hosts:
        verdict.add(
            judge(
                Witnessed(
                    host.id,
                    ledger.read(host.ledger),
                    snapshots[host.id],
                    gaps[host.id],
                    events[host.id],
                    frozenset(pushed[host.id]),
                    host.is_tight,
                    clock_was_right=site.board.clock_error(host.machine) == 0.0,
                )
            )
        )
    return verdict, database_version


def _by_host(rows: Sequence[Any]) -> defaultdict[int, list[Any]]:
    by_host: defaultdict[int, list[Any]] = defaultdict(list)
    for row in rows:
        by_host[row.host_id].append(row)
    return by_host
