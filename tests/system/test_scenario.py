"""Real trouble on this machine, from the event to the fix: seen on a page, explained, answered and mended by a script.

Two `up`s watch the same trouble, one on SQLite and one on Postgres, each with a browser on its page. CPU and disk run
at the same time, since an event of CPU takes a while to open and another to resolve; policies make it less than the
half minutes that are usual.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest
from playwright.sync_api import Page, expect

from store.benchmark import temporary_database
from tests.browser import Browsers
from tests.system.all_in_one import Up, running_up, wait_until
from tests.system.burner import burning

pytestmark = [pytest.mark.quiet, pytest.mark.timeout(480)]

CALM_PERCENT = 40
# To look is load, too.
POLL_SECONDS = 0.5
DEVICE = "fleetmedic-test"
TMPFS_BYTES = 8 * 1024 * 1024
BIG_FILE = "a-file-that-is-too-big"
DATABASES = ["sqlite", "postgres"]
NOT_RELOADED = "window.notReloaded === true"


@dataclass
class Watcher:
    """An ``up`` with a browser on its page, the burner that its script is to end, and what came of it all."""

    up: Up
    page: Page
    burner: str
    began_at: float = 0.0
    running: list[bool] = field(default_factory=list)
    seen: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {"open": {}, "resolved": {}})
    """The events of the trouble by type, as each was when it was first seen in a state."""
    optimized: dict[str, Any] = field(default_factory=dict)
    script: dict[str, Any] = field(default_factory=dict)
    disk_script: dict[str, Any] = field(default_factory=dict)
    plan: subprocess.CompletedProcess[str] | None = None
    survived_plan: bool = False
    disk_plan: subprocess.CompletedProcess[str] | None = None
    apply: subprocess.CompletedProcess[str] | None = None
    survived_apply: bool = True

    @property
    def opened(self) -> dict[str, dict[str, Any]]:
        return self.seen["open"]

    @property
    def resolved(self) -> dict[str, dict[str, Any]]:
        return self.seen["resolved"]

    def get(self, path: str) -> dict[str, Any]:
        status, answer = self.up.ask(path)
        assert status == 200, answer
        return answer

    def post(self, path: str, **body: object) -> dict[str, Any]:
        status, answer = self.up.ask(path, json.dumps(body).encode())
        assert status in (200, 201), answer
        return answer

    def cpu_percent(self) -> float | None:
        cpu: float | None = self.get("/api/v1/hosts")["items"][0]["metrics"]["cpu_percent"]
        return cpu

    def is_calm(self) -> bool:
        cpu = self.cpu_percent()
        is_open = self.up.events("type=cpu_high&state=open") + self.up.events("type=cpu_spike&state=open")
        return cpu is not None and cpu < CALM_PERCENT and not is_open

    def shorten_events(self) -> None:
        """Have events of CPU open, and resolve, sooner; and those end that the start of it all opens."""
        self.post("/api/v1/policies", scope="fleet", type="cpu_high", opens_after_seconds=12)
        self.post("/api/v1/policies", scope="fleet", type="cpu_spike", hold_seconds=20)

    def is_held_back_by_cpu(self) -> bool:
        """Ask what holds the host back: by its last half minute, so it is the disk until the CPU was busy for long."""
        self.optimized = self.get("/api/agent/optimize")
        return bool(self.optimized["bottleneck"] == "cpu")

    def start_monitoring(self) -> None:
        """Stop monitoring and start it, and wait for a snapshot that was taken since."""
        for action in ("stop", "start"):
            self.post(f"/api/agent/monitor/{action}")
            self.running.append(self.get("/api/agent/monitor/status")["running"])
        before = self.up.host()["last_seen"]
        wait_until(lambda: self.up.host()["last_seen"] > before, self.up.said)

    def open_page(self) -> None:
        link = re.search(r"http://\S+/monitoring-dashboard#code=\S+", self.up.said())
        assert link, self.up.said()
        self.page.goto(link[0])
        expect(self.page.get_by_text(self.up.host()["name"]).first).to_be_visible(timeout=30_000)
        self.page.evaluate("window.notReloaded = true")

    def of_this_trouble(self, state: str) -> list[dict[str, Any]]:
        """Return its events in that state that are explained, the first that opened first."""
        return [
            event
            for event in reversed(self.up.events(f"state={state}"))
            # One that an earlier load of the CPU had opened may have opened again.
            if datetime.fromisoformat(event["reopened_at"] or event["opened_at"]).timestamp() >= self.began_at
            # The disks of this machine may be full as well; an explanation comes a moment later.
            and not (event["type"] == "disk_full" and event["evidence"]["filesystem"]["device"] != DEVICE)
            and event["explanation"]
        ]

    def run_script(self, script: dict[str, Any], mode: str) -> subprocess.CompletedProcess[str]:
        file = self.up.folder.parent / f"{script['sha256']}.sh"
        file.write_text(script["script"])
        return subprocess.run(
            ["bash", str(file), mode], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )


@pytest.fixture(scope="module")
def tmpfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """A small filesystem of its own, None where this user may not mount any."""
    folder = tmp_path_factory.mktemp("tmpfs")
    command = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", DEVICE, str(folder)]
    if subprocess.run(command, capture_output=True).returncode != 0:
        yield None
        return
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def watchers(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, browsers: Browsers, tmpfs: Path | None
) -> Iterator[dict[str, Watcher]]:
    """Both watchers, after all of it is over."""
    folder = tmp_path_factory.mktemp("up")
    with (
        temporary_database(postgres_url) as database_url,
        running_up(folder / "sqlite") as on_sqlite,
        running_up(folder / "postgres", FLEETMEDIC_DATABASE_URL=database_url) as on_postgres,
    ):
        watchers = {
            name: Watcher(up, browsers.new_page(), f"test-burner-{name[0]}")
            for name, up in zip(DATABASES, (on_sqlite, on_postgres), strict=True)
        }
        go_through(list(watchers.values()), tmpfs)
        yield watchers
        with ThreadPoolExecutor() as pool:
            list(pool.map(Up.stop, (on_sqlite, on_postgres)))


def go_through(watchers: list[Watcher], tmpfs: Path | None) -> None:
    """Make trouble until it is an event everywhere, have the scripts end it, and wait until it is resolved."""
    wanted = {"cpu_high", "cpu_spike"} | ({"disk_full"} if tmpfs else set())
    for watcher in watchers:
        watcher.shorten_events()
        watcher.start_monitoring()
        watcher.open_page()
    for watcher in watchers:
        wait_until(
            watcher.is_calm,
            lambda one=watcher: f"this machine is too busy for a test of CPU load: {one.cpu_percent()} %",
            seconds=120,
            every=POLL_SECONDS,
        )
        watcher.began_at = time.time()
    with burning(*(watcher.burner for watcher in watchers)) as burners:
        if tmpfs:
            (tmpfs / BIG_FILE).write_bytes(b"x" * (TMPFS_BYTES - 4096))
        wait_for("open", wanted, watchers)
        for watcher, burner in zip(watchers, burners, strict=True):
            process = psutil.Process(burner.pid)
            watcher.script = watcher.post(
                "/api/agent/generate-script",
                issue_type="cpu_high",
                event_id=watcher.opened["cpu_high"]["id"],
                parameters={"pid": process.pid, "start_time": process.create_time()},
            )
            if tmpfs:
                watcher.disk_script = watcher.get(f"/api/v1/scripts/{watcher.opened['disk_full']['script_id']}")
                watcher.disk_plan = watcher.run_script(watcher.disk_script, "plan")
        run_scripts(watchers, "plan")
        for watcher, burner in zip(watchers, burners, strict=True):
            watcher.survived_plan = burner.poll() is None
        for watcher in watchers:
            # What opened together is one incident.
            watcher.page.get_by_test_id("incident").get_by_text("Events", exact=True).first.click()
            for event_type in wanted - {"cpu_spike"}:
                row = watcher.page.get_by_test_id("open-events").get_by_text(event_type, exact=True).first
                expect(row).to_be_visible(timeout=10_000)
            assert watcher.page.evaluate(NOT_RELOADED)
            wait_until(watcher.is_held_back_by_cpu, lambda one=watcher: str(one.optimized), every=POLL_SECONDS)
        run_scripts(watchers, "apply")
        for watcher, burner in zip(watchers, burners, strict=True):
            watcher.survived_apply = burner.poll() is None
        if tmpfs:
            (tmpfs / BIG_FILE).unlink()
        wait_for("resolved", wanted, watchers)


def wait_for(state: Literal["open", "resolved"], wanted: set[str], watchers: list[Watcher]) -> None:
    """Let each watcher see the events of these types in that state."""

    def all_are_seen() -> bool:
        for watcher in watchers:
            for event in watcher.of_this_trouble(state):
                if event["type"] in wanted:
                    watcher.seen[state].setdefault(event["type"], event)
        return all(wanted == watcher.seen[state].keys() for watcher in watchers)

    def told() -> str:
        return "\n".join(
            f"{watcher.cpu_percent()} %, were {state}: {sorted(watcher.seen[state])}, all: "
            + ", ".join(
                " ".join(str(event[name]) for name in ("type", "state", "opened_at", "reopened_at", "resolved_at"))
                for event in watcher.up.events()
            )
            for watcher in watchers
        )

    wait_until(all_are_seen, told, seconds=150, every=POLL_SECONDS)


def run_scripts(watchers: list[Watcher], mode: Literal["plan", "apply"]) -> None:
    """Run the scripts of all at the same time: each measures for some seconds."""
    with ThreadPoolExecutor() as pool:
        runs = pool.map(lambda watcher: watcher.run_script(watcher.script, mode), watchers)
    for watcher, run in zip(watchers, runs, strict=True):
        setattr(watcher, mode, run)


@pytest.fixture(params=DATABASES)
def watcher(request: pytest.FixtureRequest, watchers: dict[str, Watcher]) -> Watcher:
    return watchers[request.param]


def last_line(run: subprocess.CompletedProcess[str] | None) -> dict[str, Any]:
    """Return the JSON object that a script ends its output with."""
    assert run is not None
    assert run.returncode == 0, run.stdout + run.stderr
    return dict(json.loads(run.stdout.splitlines()[-1]))


def need_tmpfs(tmpfs: Path | None) -> Path:
    if tmpfs is None:
        assert not (os.environ.get("CI") and os.geteuid() == 0), "root may not mount a tmpfs here"
        pytest.skip("this user may not mount a tmpfs")
    return tmpfs


def test_monitoring_stops_and_starts(watcher: Watcher) -> None:
    assert watcher.running == [False, True]


def test_processes_that_burn_cpu_open_cpu_high_with_themselves_as_evidence(watcher: Watcher) -> None:
    event = watcher.opened["cpu_high"]
    assert {"test-burner-s", "test-burner-p"} <= {process["name"] for process in event["evidence"]["processes"]}
    assert event["value"] > event["limit"] == 85
    assert event["subject"] == event["host"] == watcher.up.host()["name"]


def test_an_event_says_in_words_what_was_started_when_the_cpu_became_busy(watcher: Watcher) -> None:
    explanation = watcher.opened["cpu_high"]["explanation"]
    assert re.match(r"CPU at \d+(\.\d)? % \(limit 85 %\) since \d\d:\d\d UTC", explanation)
    assert re.search(r"At \d\d:\d\d `test-burner-[sp]` \(pid \d+\) was started and uses \d+ % of one CPU", explanation)


def test_the_leap_to_a_busy_cpu_opens_cpu_spike_with_a_newborn_process_as_evidence(watcher: Watcher) -> None:
    event = watcher.opened["cpu_spike"]
    assert any(process["name"].startswith("test-burner") for process in event["evidence"]["processes"])
    assert event["severity"] == "medium"


def test_a_full_filesystem_opens_disk_full_with_its_mount_as_subject(watcher: Watcher, tmpfs: Path | None) -> None:
    mount = need_tmpfs(tmpfs)
    event = watcher.opened["disk_full"]
    assert event["subject"] == str(mount)
    assert event["severity"] == "critical"
    assert event["evidence"]["filesystem"]["size_bytes"] == TMPFS_BYTES


def test_an_event_has_its_script_by_itself(watcher: Watcher) -> None:
    event = watcher.opened["cpu_high"]
    script = watcher.get(f"/api/v1/scripts/{event['script_id']}")
    assert (script["state"], script["issue_type"], script["event_id"]) == ("ready", "cpu_high", event["id"])
    top = max(event["evidence"]["processes"], key=lambda process: process["cpu_percent"])
    assert script["parameters"]["pid"] == top["pid"]


def test_optimize_names_cpu_and_the_burning_processes(watcher: Watcher) -> None:
    assert watcher.optimized["bottleneck"] == "cpu"
    assert "test-burner" in json.dumps(watcher.optimized["findings"])
    assert "cpu_high" in [suggestion.get("issue_type") for suggestion in watcher.optimized["suggestions"]]


def test_the_plan_of_the_script_names_the_burner_and_changes_nothing(watcher: Watcher) -> None:
    assert last_line(watcher.plan)["outcome"] == "planned"
    assert watcher.plan
    assert watcher.burner in watcher.plan.stdout
    assert watcher.survived_plan


def test_the_plan_for_the_full_filesystem_names_what_fills_it(watcher: Watcher, tmpfs: Path | None) -> None:
    mount = need_tmpfs(tmpfs)
    last_line(watcher.disk_plan)
    assert watcher.disk_plan
    assert str(mount / BIG_FILE) in watcher.disk_plan.stdout
    assert watcher.disk_script["parameters"]["mount"] == str(mount)


def test_applying_the_script_ends_the_burner(watcher: Watcher) -> None:
    assert last_line(watcher.apply)["outcome"] == "done"
    assert not watcher.survived_apply


def test_all_of_it_resolves_by_itself_when_the_cause_is_gone(watcher: Watcher) -> None:
    for event_type, before in watcher.opened.items():
        after = watcher.resolved[event_type]
        assert after["id"] == before["id"]
        assert after["resolved_at"] > after["opened_at"]
        assert after["evidence"] == before["evidence"]


def test_the_script_is_saved_as_it_is(watcher: Watcher) -> None:
    path = Path(watcher.post("/api/agent/generate-script/save", id=watcher.script["id"])["path"])
    assert path.parent == watcher.up.folder / "scripts"
    assert path.read_text() == watcher.script["script"]


def test_all_six_remedies_are_listed(watcher: Watcher) -> None:
    templates = watcher.get("/api/agent/generate-script/list")["templates"]
    assert {template["issue_type"] for template in templates} == {
        "cpu_high",
        "memory_high",
        "disk_full",
        "process_memory_high",
        "service_restart",
        "disk_health",
    }


def test_clearing_hides_what_is_resolved(watcher: Watcher) -> None:
    wait_until(lambda: not watcher.up.events("state=open&type=cpu_high"))
    watcher.post("/api/agent/monitor/clear")
    shown = watcher.get("/api/agent/monitor/events")["events"]
    assert all(event["state"] == "open" for event in shown)
