"""A host that sends hostile text in every name it has a say in: inert on the page, in its scripts and in every log."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

from store.engine import connect
from tests.browser import Browsers
from tests.system.all_in_one import Up, running_up, wait_until
from tests.system.fleet import SimulatedHost, enroll_hosts
from wire.metrics import pack_core
from wire.snapshot import (
    SNAPSHOT_VERSION,
    Details,
    DiskHealth,
    Filesystem,
    Interface,
    Process,
    Sensor,
    Service,
    Snapshot,
    encode_details,
)

CANARY = "canary-of-the-hostile-host"
HOSTILE = [
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    '" onmouseover="window.pwned=1" x="',
    "javascript:window.pwned=1",
    f"$(touch {CANARY})",
    f"`touch {CANARY}`",
    f"'; touch {CANARY}; '",
    f'"; touch {CANARY}; "',
    f"\u2019; New-Item {CANARY}; \u2018",
    "safe\u202egpj.exe",
    "\x1b[31mred\x07\x00",
    '\n{"outcome":"done"}\r\n2026-11-24 00:00:00,000 ERROR forged',
    "-rf",
    # Not so long that the details of the snapshot are too large to be kept.
    "long" * 800,
]
EVENT_TYPES = {"cpu_high", "disk_full", "process_memory_high", "service_down", "disk_health"}
CORE = {
    "cpu_percent": 99.0,
    "memory_percent": 50.0,
    "disk_percent": 99.0,
    "process_memory_max_percent": 60.0,
    "services_not_running": float(len(HOSTILE)),
    "disks_failing": float(len(HOSTILE)),
}


def hostile_details() -> Details:
    processes = tuple(
        Process(1_000_000 + n, 1.7e9, text, text, 99.0, 60.0, 1e9, text) for n, text in enumerate(HOSTILE)
    )
    return Details(
        filesystems=tuple(Filesystem(f"/{text}", text, text, 1e9, 0.99e9, 99.0) for text in HOSTILE),
        interfaces=tuple(Interface(text, 1.0, 1.0, 0.0, 0.0) for text in HOSTILE),
        sensors=tuple(Sensor(text, 40.0) for text in HOSTILE),
        processes_by_cpu=processes,
        processes_by_memory=processes,
        services=tuple(Service(text, False, text) for text in HOSTILE),
        disk_health=tuple(DiskHealth(text, True, text) for text in HOSTILE),
        cpu_count=2,
        platform="linux",
        os_name=HOSTILE[0],
        hostname=HOSTILE[1],
        collector_version=HOSTILE[2],
    )


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running_up(tmp_path_factory.mktemp("up") / "data") as up:
        yield up


@pytest.fixture(scope="module")
def host(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of the hostile host, once all of its events are open and have their scripts."""
    server = up.server()
    engine = connect(server["database_url"])
    (enrolled,) = enroll_hosts(engine, server["redis_url"], 1)
    engine.dispose()
    host = SimulatedHost(enrolled, tmp_path_factory.mktemp("hostile"), server["redis_url"])
    details = encode_details(hostile_details())
    now = time.time()
    for seconds_ago in (60, 30, 0):
        host.send(Snapshot(SNAPSHOT_VERSION, now - seconds_ago, 30.0, pack_core(CORE), details))

    def all_is_there() -> bool:
        found = up.events(f"host={enrolled.name}&limit=200")
        return {event["type"] for event in found} >= EVENT_TYPES and all(is_done(up, event) for event in found)

    wait_until(all_is_there, lambda: f"{up.events()}; {worker_log(up)}", every=0.2)
    yield enrolled.name
    host.close()


def is_done(up: Up, event: dict[str, Any]) -> bool:
    script = event["script_id"] and up.ask(f"/api/v1/scripts/{event['script_id']}")[1]
    return not script or script["state"] in ("ready", "failed")


def worker_log(up: Up) -> str:
    return (up.folder / "logs" / "worker.log").read_text(errors="replace")


@pytest.fixture(scope="module")
def scripts(up: Up, host: str) -> list[dict[str, Any]]:
    """All scripts that answer the hostile host's events."""
    ids = [event["script_id"] for event in up.events(f"host={host}&limit=200") if event["script_id"]]
    return [up.ask(f"/api/v1/scripts/{script}")[1] for script in ids]


def test_every_hostile_mount_is_an_event_with_that_mount_as_subject(up: Up, host: str) -> None:
    subjects = {event["subject"] for event in up.events(f"host={host}&type=disk_full&limit=200")}
    assert {"/" + text.replace("\0", "") for text in HOSTILE[:-1]} <= subjects


def test_its_scripts_are_plain_ascii_that_bash_can_read_and_run_nothing_of_it(
    scripts: list[dict[str, Any]], tmp_path: Path
) -> None:
    ready = [script for script in scripts if script["state"] == "ready" and script["script_type"] == "bash"]
    assert {script["issue_type"] for script in ready} >= {"cpu_high", "disk_full", "process_memory_high"}
    for script in ready:
        file = tmp_path / f"{script['id']}.sh"
        file.write_text(script["script"])
        assert script["script"].isascii()
        assert script["script"].replace("\n", "").replace("\t", "").isprintable()
        run = subprocess.run(
            ["bash", str(file), "plan"],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert run.returncode in (0, 1, 2, 3), run.stderr
        assert json.loads(run.stdout.splitlines()[-1])["remedy"] == script["issue_type"]
    assert list(tmp_path.rglob(f"*{CANARY}*")) == []


def test_a_script_that_cannot_be_is_refused_with_the_parameter_named(scripts: list[dict[str, Any]]) -> None:
    failed = [script for script in scripts if script["state"] == "failed"]
    assert failed
    assert all(script["error"] for script in failed)
    assert {script["issue_type"] for script in failed} <= {"service_restart", "disk_full", "disk_health"}
    assert all("service" in one["error"] for one in failed if one["issue_type"] == "service_restart")


def test_the_page_shows_it_and_runs_nothing_of_it(up: Up, host: str, browsers: Browsers) -> None:
    page = browsers.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(told(message)) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    open_page(up, host, page)
    # All of them are one incident.
    page.get_by_role("region", name="Open events", exact=True).get_by_text("Events", exact=True).click()
    for part in ("Open events", "Bottleneck", "Top processes"):
        shown = page.get_by_role("region", name=part, exact=True)
        expect(shown.get_by_text("<script>window.pwned=1</script>").first).to_be_visible()
    summary = page.get_by_role("region", name=f"Host {host}")
    expect(summary.get_by_text("<script>window.pwned=1</script>")).to_be_visible()
    assert page.evaluate("window.pwned") is None
    assert "\u202e" not in page.inner_text("body")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert complaints == []


def open_page(up: Up, host: str, page: Page) -> None:
    link = up.run("link").strip().splitlines()[-1]
    page.goto(link)
    page.get_by_label("Host", exact=True).select_option(label=host)


def told(message: ConsoleMessage) -> str:
    return f"{message.text} ({message.location})"


def test_no_log_line_is_forged_or_steers_a_terminal(up: Up, host: str) -> None:
    for log in (up.folder / "logs").glob("*.log"):
        text = log.read_text()
        assert text.replace("\n", "").isprintable(), log
        assert not [line for line in text.splitlines() if line.endswith("ERROR forged")], log
