import re
from collections.abc import Callable
from typing import Any

import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine, update

from api.prometheus import Family, Sample, exposed
from store.engine import writing
from store.ledger import Ledger, write_ledgers
from store.schema import host_state
from wire import keys

# prometheus.io/docs/instrumenting/exposition_formats: name, labels, value.
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:\w+="(?:[^"\\\n]|\\[\\"n])*",?)*\})? (-?[0-9.e+]+)')


def scrape(client: FlaskClient) -> dict[str, float]:
    answer = client.get("/metrics")
    assert (answer.status_code, answer.content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert answer.text.endswith("\n")
    kinds: dict[str, str] = {}
    found = {}
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kinds[name] = line.split(" ")
        elif not line.startswith("# HELP "):
            name, labels, value = SAMPLE.fullmatch(line).groups()  # type: ignore[union-attr]
            assert (kinds[name] == "counter") == name.endswith("_total")
            found[name + (labels or "")] = float(value)
    return found


def test_the_numbers_are_the_sums_over_all_hosts(client: FlaskClient, engine: Engine, rows: Any) -> None:
    first, second = rows.host("first"), rows.host("second")
    rows.event(first, severity="medium")
    with writing(engine) as connection:
        connection.execute(update(host_state).values(incarnation=1, sequence=100))
        ledger = Ledger(dead_lettered=1, dropped=7, throttled=4, ahead_incarnation=1, ahead_sequence=105)
        write_ledgers(connection, {second: ledger})
    found = scrape(client)
    assert found["fleetmedic_snapshots_sent_total"] == 205
    assert found["fleetmedic_snapshots_committed_total"] == 192
    assert found["fleetmedic_snapshots_dropped_total"] == 7
    assert found["fleetmedic_snapshots_outstanding"] == 5
    assert found["fleetmedic_entries_throttled_total"] == 4
    assert found['fleetmedic_hosts{health="unknown"}'] == 1
    assert found['fleetmedic_events_open{type="cpu_high",severity="medium"}'] == 1


def test_the_inboxes_show_how_much_waits_and_whether_they_are_full(client: FlaskClient, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as inboxes:
        inboxes.rpush(keys.inbox(3), b"a", b"b")
        inboxes.set(keys.full(3), 1)
    found = scrape(client)
    assert [found[f'fleetmedic_inbox_entries{{shard="{shard}"}}'] for shard in (2, 3)] == [0, 2]
    assert [found[f'fleetmedic_inbox_full{{shard="{shard}"}}'] for shard in (2, 3)] == [0, 1]


def test_without_redis_the_rest_is_shown(make_client: Callable[..., FlaskClient]) -> None:
    found = scrape(make_client(redis_url="redis://127.0.0.1:1/0"))
    assert found["fleetmedic_redis_up"] == 0
    assert "fleetmedic_snapshots_sent_total" in found


def test_the_numbers_are_for_those_who_sign_in(client: FlaskClient) -> None:
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_a_label_cannot_break_out_of_its_line() -> None:
    family = Family("name", "gauge", "of a\\b\nc", [Sample({"label": 'a"b\\c\nd'}, 1.5)])
    assert exposed([family]).splitlines() == [
        "# HELP name of a\\\\b\\nc",
        "# TYPE name gauge",
        'name{label="a\\"b\\\\c\\nd"} 1.5',
    ]
