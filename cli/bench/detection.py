"""What detection costs beside the drain's other work: rules, triage and explanations, forecasts, deviations.

The worker has ended, and the duties are called here, once, by a clock that is beyond the bucket of the last snapshots.
CPU is that of this process and of the database.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import redis
from sqlalchemy import Engine

from cli.bench.cpu import cpu_seconds
from cli.bench.fleet import INTERVAL_SECONDS, SimulatedFleet
from cli.bench.parts import postgres_pid
from store.aggregates import FIVE_MINUTES
from store.benchmark import begin_duties_anew, hosts_with_filesystems
from store.engine import reading, writing
from store.settings import Retention
from wire.metrics import CATALOGUE
from wire.snapshot import Details, Snapshot, decode_details, decode_snapshot
from worker import deviation, forecast, rollups, triage
from worker.detection.batch import Batch
from worker.evaluation import evaluate
from worker.events import Track
from worker.explanations import explain_new
from worker.filling import QUIET_SECONDS
from worker.garbage import search_rarely
from worker.inbox import Inbox

_BATCH_HOSTS = 8000
_BATCHES = 5
_RETENTION = Retention(raw_seconds=2 * 86400, five_minutes_seconds=30 * 86400, hour_seconds=400 * 86400)


def detection_us_per_snapshot(
    engine: Engine, client: "redis.Redis", hosts: int, snapshots: int, processes: int, last_taken_at: float
) -> dict[str, float]:
    """Return the microseconds of CPU that each part of detection takes of a snapshot, at the fleet's pace.

    Rules see every snapshot; what opens is triaged and explained once. Deviations are looked for once in a bucket of
    five minutes, and filesystems at rest once in half an hour: in one of so many snapshots.
    """
    database = postgres_pid(engine)
    inbox = Inbox(client)
    start_at = last_taken_at // FIVE_MINUTES * FIVE_MINUTES

    def spent_us(work: Callable[[], object]) -> float:
        before = _cpu(database)
        work()
        return 1e6 * (_cpu(database) - before)

    def before() -> float:
        return start_at + rollups.GRACE_SECONDS + 1.0

    def later() -> float:
        return before() + FIVE_MINUTES

    # As the worker's children do, in which all this happens.
    search_rarely()
    with writing(engine) as connection:
        begin_duties_anew(connection, start_at - FIVE_MINUTES)
    cost = {
        "rules": _rules_us(min(hosts, _BATCH_HOSTS), processes),
        "triage": spent_us(lambda: triage.triage(engine, inbox, time.time)) / snapshots,
        "explanations": spent_us(lambda: _explain_all(engine)) / snapshots,
    }
    rollups.roll_up(engine, _RETENTION, later)
    # From then on there is something to remember, as there is on any other day.
    deviation.look_for_deviations(engine, before)
    looked = spent_us(lambda: deviation.look_for_deviations(engine, later))
    cost["deviations"] = looked / hosts / (FIVE_MINUTES / INTERVAL_SECONDS)
    visited = spent_us(lambda: forecast.forecast(engine, {}, later))
    with reading(engine) as connection:
        cost["forecasts"] = visited / max(1, hosts_with_filesystems(connection)) / (QUIET_SECONDS / INTERVAL_SECONDS)
    return {part: round(us, 2) for part, us in (cost | {"all": sum(cost.values())}).items()}


def _cpu(database: int | None) -> float:
    return time.process_time() + (0.0 if database is None else cpu_seconds(database))


def _explain_all(engine: Engine) -> None:
    while explain_new(engine):
        pass


def _rules_us(hosts: int, processes: int) -> float:
    """Return what the rules take of a snapshot, with what is open where the fleet has something wrong."""
    fleet = SimulatedFleet(hosts, processes)
    tracks: dict[int, list[Track]] = {}
    spent = 0.0
    for number in range(_BATCHES):
        snapshots = [decode_snapshot(body) for body in fleet.bodies(number, INTERVAL_SECONDS * number)]
        core = np.frombuffer(b"".join(one.core for one in snapshots), "<f4").reshape(hosts, len(CATALOGUE))
        batch = Batch(
            host=np.arange(hosts),
            taken_at=np.array([one.taken_at for one in snapshots]),
            core=core,
            previous_cpu_percent=np.full(hosts, 20.0, np.float32),
        )
        before = time.process_time()
        evaluation = evaluate(batch, tracks, partial(_details, snapshots))
        spent += time.process_time() - before
        tracks |= evaluation.tracks
    return 1e6 * spent / (hosts * _BATCHES)


def _details(snapshots: Sequence[Snapshot], row: int) -> Details:
    return decode_details(snapshots[row].details)
