"""What the stations promise each other and what the pages promise the reader, held against the code."""

import re
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from store.policy_types import TYPES, Bounds
from store.settings import ServerSettings
from tests.system.all_in_one import wait_until
from tests.system.processes import running
from wire import keys
from wire.metrics import CATALOGUE
from worker import conduct
from worker.app import connect_redis, create_app
from worker.detection.finding import high_or_critical
from worker.detection.limits import DEFAULTS, Limit
from worker.detection.rules import RULES
from worker.evaluation import HOST_DOWN
from worker.events import FLAPPING_CLEAR_SECONDS, FLAPPING_OPENINGS, FLAPPING_WITHIN_SECONDS
from worker.filling import DISK_FORECAST
from worker.inbox import Inbox
from worker.remedies.templates import load_all
from worker.script_jobs import remedy_of
from worker.tasks import Station
from worker.unusual import DEVIATION

TEMPLATES = load_all()
DOCS = Path(__file__).parents[2] / "docs"
TASKS = {value for name, value in vars(keys).items() if name.startswith("TASK_")}
QUEUES = {value for name, value in vars(keys).items() if name.startswith("QUEUE_")}


def table(page: str) -> list[list[str]]:
    """Return the cells of a page's table, without its head."""
    lines = [line for line in (DOCS / page).read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_task_that_is_named_is_registered_and_every_queue_is_consumed(
    engine: Engine, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    environment = {"FLEETMEDIC_REDIS_URL": redis_url, "FLEETMEDIC_DATABASE_URL": database_url}
    settings = ServerSettings.from_environment(environment | {"FLEETMEDIC_DATA_DIR": str(tmp_path)})
    app = create_app(settings, Station(settings, engine, Inbox(connect_redis(settings)), {}, lambda: 0.0), 1)
    assert {name for name in app.tasks if name.startswith("fleetmedic.")} == TASKS
    with redis.Redis.from_url(redis_url) as client:
        for queue in QUEUES:
            app.send_task(keys.TASK_PUBLISH_CONFIGS, args=[None], queue=queue)
            assert client.llen(queue) == 1
        with running(tmp_path / "worker.log", "worker", **environment) as worker:
            wait_until(lambda: not any(client.llen(queue) for queue in QUEUES), worker.said)


def test_every_metric_is_in_the_docs_as_it_is_in_the_catalogue() -> None:
    catalogue = [[f"`{metric.name}`", metric.unit, metric.kind, metric.help] for metric in CATALOGUE]
    assert table("metrics.md") == catalogue


def test_every_rule_is_in_the_docs() -> None:
    in_code = {
        *(rule.type for rule in RULES),
        HOST_DOWN,
        DISK_FORECAST,
        DEVIATION,
        *(kind.type for kind in conduct.KINDS),
    }
    assert {row[0].strip("`") for row in table("rules.md")} == in_code


@pytest.mark.parametrize(("event_type", "limit"), DEFAULTS.items())
def test_the_figures_of_a_rule_in_the_docs_are_those_of_the_code(event_type: str, limit: Limit) -> None:
    (row,) = (row for row in table("rules.md") if row[0] == f"`{event_type}`")
    _, opens_when, _, limit_cell, opens_after, severity, clears, _ = row
    assert numbers(opens_when) == ([limit.rise] if limit.rise else [])
    assert numbers(limit_cell) == ([limit.value] if limit.clear_margin else [])
    assert numbers(clears) == ([limit.value - limit.clear_margin] if limit.clear_margin else [])
    assert opens_after == told(limit)
    for midpoint in numbers(severity):
        assert [high_or_critical(midpoint + step, limit) for step in (0, 0.1)] == ["high", "critical"]


def test_the_figures_of_the_life_of_an_event_in_the_docs_are_those_of_the_code() -> None:
    text = " ".join((DOCS / "rules.md").read_text().split())
    held = [(event_type, f"{limit.hold_seconds:g}") for event_type, limit in DEFAULTS.items() if limit.hold_seconds]
    assert re.findall(r"`(\w+)` stays open for (\d+) s at least", text) == held
    assert {limit.reopens_within_seconds for limit in DEFAULTS.values()} == {600.0}
    assert "comes back within 10 minutes after it resolved" in text
    assert (FLAPPING_OPENINGS, FLAPPING_WITHIN_SECONDS, FLAPPING_CLEAR_SECONDS) == (3, 1800.0, 900.0)
    assert "for the third time within 30 minutes is marked, and resolves only after it was clear for 15 minutes" in text


def test_what_policies_can_set_is_in_the_docs_with_its_bounds_and_defaults() -> None:
    units = {
        "percent": "%",
        "points": "points",
        "seconds": "s",
        "intervals": "intervals",
        "hours": "hours",
        "times": "times",
    }

    def told_of(bounds: Bounds) -> str:
        return f"{bounds.minimum:g} to {bounds.maximum:.0f} {units[bounds.unit]}, {bounds.default:g}"

    expected = []
    for event_type, known in TYPES.items():
        others = [f"`{name}` {told_of(bounds)}" for name, bounds in known.numbers.items() if name != "limit"]
        limit = known.numbers.get("limit")
        expected.append([f"`{event_type}`", known.subject or "", told_of(limit) if limit else "", "; ".join(others)])
    assert table("policies.md")[: len(TYPES)] == expected


def test_every_rule_has_a_remedy_or_the_docs_say_why_not() -> None:
    answered = remedy_of(TEMPLATES)
    for row in table("rules.md"):
        event_type, remedy = row[0].strip("`"), row[-1]
        assert remedy == f"`{answered[event_type]}`" if event_type in answered else remedy.startswith("none: ")


def test_every_remedy_is_in_the_docs_as_it_is_in_its_folder() -> None:
    assert table("remedies.md") == [
        [
            f"`{remedy.issue_type}`",
            ", ".join(f"`{event}`" for event in remedy.events),
            remedy.description,
            ", ".join(f"`{one.name}`" + (" (needed)" if one.required else "") for one in remedy.parameters),
            remedy.risk,
        ]
        for remedy in (template.remedy for template in TEMPLATES.values())
    ]


def numbers(cell: str) -> list[float]:
    return [float(number) for number in re.findall(r"[\d.]+", cell)]


def told(limit: Limit) -> str:
    """Return how the page tells when a rule opens."""
    if limit.opens_after_seconds:
        assert limit.minimum_snapshots == 2
        return f"{limit.opens_after_seconds:g} s"
    return "at once" if limit.minimum_snapshots == 1 else f"{limit.minimum_snapshots} snapshots"
