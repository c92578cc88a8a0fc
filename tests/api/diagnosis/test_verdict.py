"""What holds for every verdict, whatever is known of a host."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.diagnosis.measures import METRICS, RESOURCES, scores
from api.diagnosis.processes import OWN_COMMANDS, PROTECTED, protected
from api.diagnosis.seen import OpenEvent, Seen, View
from api.diagnosis.trend import History, climb
from api.diagnosis.verdict import judge
from tests.api.diagnosis.hosts import GIBIBYTE, HOUR, NOW, averages, host
from wire.snapshot import Details, Disk, Filesystem, Interface, Process
from worker import remedies

anything = st.floats(allow_nan=True, allow_infinity=True, width=32)
possible = st.one_of(st.just(math.nan), st.floats(0, 1e15))
names = st.text(max_size=20)
processes = st.lists(
    st.builds(Process, st.integers(0, 5), anything, names, names, anything, anything, anything), max_size=3
)
details = st.builds(
    Details,
    filesystems=st.lists(
        st.builds(Filesystem, names, names, names, anything, anything, anything, anything), max_size=3
    ).map(tuple),
    disks=st.lists(st.builds(Disk, names, anything, anything, anything, anything, anything), max_size=3).map(tuple),
    interfaces=st.lists(st.builds(Interface, names, anything, anything, anything, anything), max_size=3).map(tuple),
    processes_by_cpu=processes.map(tuple),
    processes_by_memory=processes.map(tuple),
    cpu_count=st.integers(-1, 64),
)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from(METRICS), st.tuples(possible, possible)),
    details,
    details,
    st.dictionaries(names, st.one_of(anything, names, st.lists(st.dictionaries(names, anything), max_size=2))),
)
def test_no_host_makes_it_fail(
    means: dict[str, tuple[float, float]], latest: Details, earlier: Details, evidence: dict[str, object]
) -> None:
    kinds = ("disk_full", "disk_forecast", "service_down", "deviation")
    events = [OpenEvent(1, kind, one.mount, "?", math.nan, evidence) for one in latest.filesystems for kind in kinds]
    seen = Seen("web", NOW, averages(means), view=View(NOW, latest), earlier=View(NOW - 600, earlier), events=events)
    found = judge(seen)
    assert all(0 <= one.score <= 100 for one in found.findings)
    assert all(0 <= one.rank <= one.effect <= 100 for one in found.suggestions)


def test_a_host_of_which_nothing_is_known_has_no_finding() -> None:
    found = judge(Seen("web", NOW, averages({}), silent_seconds=None))
    assert (found.bottleneck, found.findings, found.suggestions) == ("none", [], [])


def test_what_a_script_is_about_is_told_so_that_nothing_else_is_hit() -> None:
    short = host({"memory_percent": 97, "process hoarder 4712": [5, 60]})
    filling = host({"disk_percent": 97, "filesystem /srv": 97, "directory /srv/log": 2})
    process, filesystem = (judge(one).suggestions[0].parameters for one in (short, filling))
    assert process == {"pid": 4712, "start_time": 1.7e9 + 4712, "memory_bytes": 5153960755}
    assert filesystem == {"mount": "/srv", "directory": "/srv/log", "directory_bytes": 10 * GIBIBYTE}


@pytest.mark.parametrize(
    ("pid", "name", "command", "why"),
    [
        (1, "init", "/sbin/init", "is the system itself"),
        (99, "clickhouse-serv", "clickhouse-server --daemon", "is a database"),
        (99, "fleetmedic", "/opt/.venv/bin/fleetmedic worker", "is part of Fleetmedic"),
        (99, "python3", "python3 -m cli.main up", "is part of Fleetmedic"),
        (99, "kworker/0:1", "", "is part of the kernel"),
        (99, "python3", "python3 fleetmedics.py", None),
    ],
)
def test_what_a_script_refuses_is_told_with_the_reason(pid: int, name: str, command: str, why: str | None) -> None:
    seen = Seen("web", NOW, averages({}), view=View(NOW, Details(platform="linux")))
    assert protected(seen, Process(pid, 1.7e9, name, "root", 90.0, 1.0, 1e6, command)) == why


@pytest.mark.parametrize("remedy", ["cpu_high", "process_memory_high"])
def test_what_is_protected_here_the_scripts_protect(remedy: str) -> None:
    script = (Path(remedies.__file__).parent / remedy / "fix.sh").read_text()
    named = [name for listed in PROTECTED for name in listed.split()]
    named += [command.replace(" ", "\\ ") for command in OWN_COMMANDS]
    assert [name for name in named if name not in script] == []


@pytest.mark.parametrize("seed", range(20))
def test_what_wanders_about_is_no_climb(seed: int) -> None:
    random = np.random.default_rng(seed)
    at = NOW - 12 * HOUR + 300 * np.arange(144)
    steady = 50 + random.normal(0, 3, len(at))
    assert climb(History(at, steady), NOW, least=5.0) is None
    daily = 50 + 10 * np.sin(at / 86400 * 2 * np.pi) + random.normal(0, 3, len(at))
    found = climb(History(at, daily), NOW, least=25.0)
    assert found is None


@pytest.mark.parametrize("hours", [3.0, 6.0, 12.0])
def test_a_climb_is_told_with_its_pace_and_its_length(hours: float) -> None:
    at = NOW - 12 * HOUR + 300 * np.arange(144)
    mean = 40 + 20 * np.clip((at - (NOW - hours * HOUR)) / (hours * HOUR), 0, 1)
    found = climb(History(at, mean), NOW, least=5.0)
    assert found is not None
    assert found.per_hour == pytest.approx(20 / hours, rel=0.1)
    assert found.seconds == pytest.approx(hours * HOUR, rel=0.1)


@pytest.mark.parametrize("column", [(2, 60.0), (3, 100.0)])
def test_the_docs_tell_the_limits(column: tuple[int, float]) -> None:
    place, score = column
    page = (Path(__file__).parents[3] / "docs/diagnosis.md").read_text()
    rows = {resource: row for row in page.splitlines() for resource in RESOURCES if row.startswith(f"| `{resource}` |")}
    told = [float(re.findall(r"[\d.]+", rows[resource].split("|")[place + 1])[0]) for resource in RESOURCES]
    assert scores(np.array([told]))[0] == pytest.approx(score, rel=0.01)
