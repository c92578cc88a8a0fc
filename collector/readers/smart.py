"""SMART health of disks, as smartctl(8) of smartmontools tells it.

Asking a disk can take seconds and wakes it up, so a thread asks every ten minutes and never a disk that sleeps.
"""

import shutil
import subprocess
import threading
from collections.abc import Mapping
from typing import Any

import msgspec

from wire.snapshot import DiskHealth
from wire.text import storable

PERIOD_SECONDS = 600.0
_TIMEOUT_SECONDS = 30.0
# Bits of smartctl's exit status, smartctl(8) "EXIT STATUS".
_FAILING_BIT = 1 << 3
_PREFAILURE_BIT = 1 << 4
_GUESSED_TYPES = ("scsi", "ata")


class Smart:
    """The latest answers of the disks. Without smartctl there are none."""

    def __init__(self) -> None:
        self._answers: Mapping[str, DiskHealth] = {}
        self._asked_at: float | None = None
        self._thread: threading.Thread | None = None

    def read(self, at: float) -> list[DiskHealth]:
        """Return what is known, and ask the disks again in the background when it is time to."""
        due = self._asked_at is None or at - self._asked_at >= PERIOD_SECONDS
        if due and not (self._thread and self._thread.is_alive()):
            self._asked_at = at
            program = shutil.which("smartctl", path="/usr/sbin:/usr/local/sbin:/sbin:/opt/homebrew/sbin") or (
                shutil.which("smartctl")
            )
            if program:
                self._thread = threading.Thread(target=self._ask, args=(program,), name="smart", daemon=True)
                self._thread.start()
        return list(self._answers.values())

    def _ask(self, program: str) -> None:
        answers: dict[str, DiskHealth] = {}
        for name, kind in parse_scan(_run(program, "--scan")[0]):
            health = parse_health(name, *_run(program, "--health", "--nocheck=standby", f"--device={kind}", name))
            # A disk that sleeps or did not answer in time is as healthy as it was.
            health = health or self._answers.get(name)
            if health:
                answers[name] = health
        self._answers = answers


def _run(program: str, *arguments: str) -> tuple[bytes, int]:
    try:
        answer = subprocess.run(
            [program, "--json", *arguments],
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return b"", 0
    return answer.stdout, answer.returncode


def _json(output: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(output, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def parse_scan(output: bytes) -> list[tuple[str, str]]:
    """Read ``smartctl --json --scan`` as (device, type).

    The scan opens no disk, so it calls SATA disks ``scsi``, and insisting on that would hide their health.
    """
    devices = _json(output).get("devices")
    return [
        (device["name"], "auto" if device["type"] in _GUESSED_TYPES else device["type"])
        for device in (devices if isinstance(devices, list) else [])
        if isinstance(device, dict) and isinstance(device.get("name"), str) and isinstance(device.get("type"), str)
    ]


def parse_health(name: str, output: bytes, exit_status: int) -> DiskHealth | None:
    """Read ``smartctl --json --health``; None when the disk did not say (asleep, no SMART, not permitted)."""
    status = _json(output).get("smart_status")
    passed = status.get("passed") if isinstance(status, dict) else None
    subject = storable(name, 255)
    if passed is False or exit_status & _FAILING_BIT:
        return DiskHealth(subject, True, "SMART: the disk says that it is failing")
    if passed is not True:
        return None
    if exit_status & _PREFAILURE_BIT:
        return DiskHealth(subject, True, "SMART: an attribute that foretells failure is below its threshold")
    return DiskHealth(subject, False)
