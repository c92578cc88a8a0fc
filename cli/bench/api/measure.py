"""``bench api``: how long pages of hosts and events and charts take where there is a month of history.

Everything is real: Redis, the database, ``fleetmedic api`` and ``fleetmedic worker`` in processes of their own. What is
made up is the history (``store.benchmark_history``), written in bulk. While the API is asked, the worker rolls up
snapshots that came late and deletes what is past its retention: both are let do so again as soon as they have.

Requests come at a steady pace whether or not the ones before are answered, routes in turn, hosts by chance, and each is
timed from when it was due, so that a server that stalls cannot hide it by being asked less.

At the end policies are previewed, one after the other, and the fleet is diagnosed once.
"""

import http.client
import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode

import redis
from sqlalchemy import Engine

from cli.bench.client import Client
from cli.bench.pace import at_pace, percentile
from cli.bench.parts import running_api, running_worker
from cli.bench.stage import Stage, own_stage
from store.benchmark import enroll_simulated, version
from store.benchmark_history import WHOLE, Extent, fill, make_due, settle, waiting
from store.engine import reading, writing
from store.retention import make_partitions
from store.settings import ServerSettings
from wire import keys

Say = Callable[[str], None]

_CLIENTS = 8
_PAGE = 100
_POINTS = 200
_WARM_UP_SECONDS = 3.0
_LATE_BUCKETS = 48
_DUE_SECONDS = 5.0
# From one that half of the hosts are above to one that none is.
_PREVIEWED_LIMITS = (25, 45, 60, 90)
_PREVIEWS = 3
_CHARTS = {"1 h": 3600, "6 h": 6 * 3600, "24 h": 86400, "7 d": 7 * 86400, "30 d": 30 * 86400}
_ROUTES = (
    *("hosts page", "events page", "open events", "fleet summary", "host", "diagnosis"),
    *(f"chart {span}" for span in _CHARTS),
)


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    database: str
    """``sqlite``, ``postgres`` or the URL of a Postgres server."""
    hosts: int
    whole_hosts: int
    """Of how many there is a whole day of snapshots and 30 days of roll-ups; their charts are asked for."""
    seconds: int
    rate: int
    """Requests a second, all routes together."""


def run(plan: Plan, environment: Mapping[str, str], say: Say) -> dict[str, Any]:
    """Run the bench and return its figures (docs/benchmarks.md). Raises CommandFailed."""
    say("starting Redis and the database")
    with own_stage(plan.database, environment) as stage, ExitStack() as stack:
        return _run(plan, stage, say, stack)


def _run(plan: Plan, stage: Stage, say: Say, stack: ExitStack) -> dict[str, Any]:
    engine = stage.engine
    now = float(int(time.time()))
    expired_before = now - ServerSettings.from_environment(stage.settings).retention.raw_seconds
    say(f"writing history of {plan.hosts:,} hosts, a whole month of {plan.whole_hosts:,}")
    with writing(engine) as connection:
        enroll_simulated(connection, plan.hosts, now - 31 * 86400)
    for days_ago in (30, 26, 22, 18, 14, 10, 6, 4, 2, 0):
        make_partitions(engine, now - 86400 * days_ago)
    extent = Extent(plan.hosts, plan.whole_hosts, _LATE_BUCKETS)
    rows = fill(engine, extent, now, say)
    settle(engine)
    filled_seconds = time.time() - now
    with reading(engine) as connection:
        database_version = version(connection)
        before = waiting(connection, expired_before)
    say("starting the API and the worker")
    port = stack.enter_context(running_api(stage.settings, stage.folder / "api.log")).port
    worker = stack.enter_context(running_worker(stage.settings, None, stage.folder / "worker.log"))
    client = Client(port, stage.token)
    routes = _Routes(plan.whole_hosts, now)
    _ask(client, routes, plan.rate, _WARM_UP_SECONDS)
    say(f"asking {plan.rate} times a second, for {plan.seconds} s")
    with _duties_due(engine, stage.client):
        answers = _ask(client, routes, plan.rate, plan.seconds)
    say("previewing policies over a week")
    previews = _previews(client, answers.failed)
    say("diagnosing the fleet")
    diagnosis = _diagnosis(client, answers.failed)
    worker.check_running()
    with reading(engine) as connection:
        after = waiting(connection, expired_before)
    return {
        "hosts": plan.hosts,
        "routes": {route: _figures(times) for route, times in answers.milliseconds.items()},
        "previews": previews,
        "diagnosis_of_fleet_ms": diagnosis,
        "requests": sum(map(len, answers.milliseconds.values())),
        "failures": sorted(set(answers.failed))[:5],
        "hosts_with_all_history": plan.whole_hosts,
        "rows": asdict(rows),
        "filled_in_seconds": round(filled_seconds),
        "meanwhile": {
            "batches_to_roll_up": [before[0], after[0]],
            "snapshots_past_retention": [before[1], after[1]],
        },
        "database_version": database_version,
    }


class _Routes:
    """What is asked, by the name of the route: the path of its next request."""

    def __init__(self, whole_hosts: int, now: float) -> None:
        self._hosts = whole_hosts
        self._now = now
        self._random = random.Random(1)
        self._cursors: dict[str, str | None] = {}
        self._turn = 0

    def following(self) -> tuple[str, str]:
        """Return the next route in turn and a path of it."""
        name = _ROUTES[self._turn % len(_ROUTES)]
        self._turn += 1
        host = self._random.randint(1, self._hosts)
        if name == "hosts page":
            return name, self._page(name, "/api/v1/hosts", {})
        if name == "events page":
            return name, self._page(name, "/api/v1/events", {})
        if name == "open events":
            return name, self._page(name, "/api/v1/events", {"state": "open"})
        if name == "fleet summary":
            return name, "/api/v1/fleet/summary"
        if name == "host":
            return name, f"/api/v1/hosts/{host}"
        if name == "diagnosis":
            return name, f"/api/agent/optimize?host={host}"
        end = self._now + 1
        query = {"from": end - _CHARTS[name.removeprefix("chart ")], "to": end, "points": _POINTS}
        return name, f"/api/v1/hosts/{host}/metrics?{urlencode(query)}"

    def answered(self, name: str, document: Mapping[str, Any]) -> None:
        """Let the next page of a list be the one behind this."""
        if "next" in document:
            self._cursors[name] = document["next"]

    def _page(self, name: str, path: str, query: Mapping[str, str]) -> str:
        cursor = self._cursors.get(name)
        return f"{path}?{urlencode({**query, 'limit': _PAGE, **({'cursor': cursor} if cursor else {})})}"


@dataclass(frozen=True)
class _Answers:
    """What came back."""

    milliseconds: dict[str, list[float]]
    """By route, from when a request was due."""
    failed: list[str]
    """Those answered with anything but 200, or not at all."""


def _ask(client: Client, routes: _Routes, rate: int, seconds: float) -> _Answers:
    """Ask at this rate for so long, and wait for all answers."""
    answers = _Answers(defaultdict(list), [])
    lock = threading.Lock()

    def ask_at(due: float) -> None:
        with lock:
            name, path = routes.following()
        try:
            status, body = client.ask("GET", path)
            milliseconds = 1000 * (time.monotonic() - due)
            fault = "" if status == 200 else f"{name}: {status} {body[:200]!r}"
            document = json.loads(body) if name.endswith(("page", "events")) else {}
        except (OSError, http.client.HTTPException, ValueError) as error:
            milliseconds, fault, document = 0.0, f"{name}: {type(error).__name__}: {error}", {}
        with lock:
            if fault:
                answers.failed.append(fault)
            else:
                answers.milliseconds[name].append(milliseconds)
                routes.answered(name, document)

    at_pace(ask_at, rate, seconds, _CLIENTS)
    return answers


def _previews(client: Client, failed: list[str]) -> dict[str, float | None]:
    """Return the milliseconds of a preview over a week, the median of some, by the CPU limit that is proposed."""
    previews = {}
    for limit in _PREVIEWED_LIMITS:
        body = json.dumps({"scope": "tag", "tag": WHOLE, "type": "cpu_high", "limit": limit, "hours": 168})
        milliseconds = []
        for _ in range(_PREVIEWS):
            asked_at = time.monotonic()
            status, answered = client.ask("POST", "/api/v1/policies/preview", body)
            milliseconds.append(1000 * (time.monotonic() - asked_at))
            if status != 200:
                failed.append(f"preview of {limit} %: {status} {answered[:200]!r}")
        previews[f"{limit} %"] = percentile(milliseconds, 50)
    return previews


def _diagnosis(client: Client, failed: list[str]) -> float:
    """Return the milliseconds of a diagnosis of the fleet, which nobody has asked for yet: a kept one takes none."""
    asked_at = time.monotonic()
    status, answered = client.ask("GET", "/api/agent/optimize?fleet=true")
    if status != 200:
        failed.append(f"diagnosis of the fleet: {status} {answered[:200]!r}")
    return 1000 * (time.monotonic() - asked_at)


@contextmanager
def _duties_due(engine: Engine, marks: "redis.Redis") -> Iterator[None]:
    """Let the worker roll up and retain all the time, not just once in their periods."""
    over = threading.Event()

    def make_them_due() -> None:
        while not over.wait(_DUE_SECONDS):
            with writing(engine) as connection:
                for duty in (keys.TASK_ROLL_UP, keys.TASK_RETAIN):
                    make_due(connection, duty)
            marks.delete(keys.duty(keys.TASK_ROLL_UP), keys.duty(keys.TASK_RETAIN))

    thread = threading.Thread(target=make_them_due)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _figures(milliseconds: list[float]) -> dict[str, float | None]:
    return {f"p{percent}_ms": percentile(milliseconds, percent) for percent in (50, 95, 99)}
