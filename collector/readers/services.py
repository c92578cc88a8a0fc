"""Watched services, as the host's service manager sees them."""

import subprocess
import sys
from collections.abc import Sequence

import psutil

from collector.readers import Part
from wire.snapshot import SERVICE_UNKNOWN, Service

_TIMEOUT_SECONDS = 3.0
MISSING = "missing"
_RUNNING = frozenset({"active", "reloading", "refreshing"})
_WAITING_TO_RESTART = frozenset({"auto-restart", "auto-restart-queued"})


def read_services(names: Sequence[str]) -> Part:
    """Return the state of the named services; nothing is asked when none is watched."""
    if not names:
        return Part({"services_not_running": 0.0})
    if sys.platform == "linux":
        services = _systemd(names)
    elif sys.platform == "win32":
        services = [_windows(name) for name in names]
    else:
        services = _launchd(names)
    down = sum(not service.running and service.state != SERVICE_UNKNOWN for service in services)
    return Part({"services_not_running": float(down)}, {"services": tuple(services)})


def _output(command: Sequence[str]) -> str | None:
    try:
        answer = subprocess.run(
            command, capture_output=True, timeout=_TIMEOUT_SECONDS, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.decode("utf-8", "replace")


def _systemd(names: Sequence[str]) -> list[Service]:
    properties = "--property=Id,ActiveState,SubState,LoadState"
    return parse_systemctl(names, _output(["systemctl", "show", "--no-pager", properties, "--", *names]) or "")


def parse_systemctl(names: Sequence[str], output: str) -> list[Service]:
    """Read ``systemctl show``: one block a name, in the order asked for (the Id of an alias is another name)."""
    blocks = [
        dict(line.partition("=")[::2] for line in block.splitlines()) for block in output.strip().split("\n\n") if block
    ]
    if len(blocks) != len(names):
        return [Service(name, False, SERVICE_UNKNOWN) for name in names]
    return [_service(name, block) for name, block in zip(names, blocks, strict=True)]


def _service(name: str, block: dict[str, str]) -> Service:
    load, active, sub = (block.get(key, "") for key in ("LoadState", "ActiveState", "SubState"))
    if load == "not-found":
        return Service(name, False, MISSING)
    if active in _RUNNING:
        return Service(name, True, active)
    # A service that starts slowly is no failure; one that waits to be started again has just failed.
    if active == "activating":
        return Service(name, sub not in _WAITING_TO_RESTART, sub if sub in _WAITING_TO_RESTART else active)
    return Service(name, False, load if load == "masked" else active or SERVICE_UNKNOWN)


def _launchd(names: Sequence[str]) -> list[Service]:
    output = _output(["launchctl", "list"])
    return (
        [Service(name, False, SERVICE_UNKNOWN) for name in names] if output is None else parse_launchctl(names, output)
    )


def parse_launchctl(names: Sequence[str], output: str) -> list[Service]:
    """Read ``launchctl list``: lines of PID (or a dash), last exit status, label."""
    pids = {fields[2]: fields[0] for line in output.splitlines()[1:] if len(fields := line.split("\t")) == 3}
    return [
        Service(name, False, MISSING)
        if name not in pids
        else Service(name, pids[name] != "-", "stopped" if pids[name] == "-" else "running")
        for name in names
    ]


def _windows(name: str) -> Service:
    if sys.platform != "win32":
        return Service(name, False, SERVICE_UNKNOWN)
    try:
        status = psutil.win_service_get(name).status()
    except psutil.NoSuchProcess:
        return Service(name, False, MISSING)
    except (psutil.Error, OSError):
        return Service(name, False, SERVICE_UNKNOWN)
    return Service(name, status in ("running", "start_pending"), status)
