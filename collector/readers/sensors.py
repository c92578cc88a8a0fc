"""Temperature sensors."""

import math
import sys
from pathlib import Path

import psutil

from collector.readers import MOST_DEVICES, Part
from collector.readers.procfs import read
from wire.snapshot import Sensor
from wire.text import storable

_HWMON = Path("/sys/class/hwmon")


class Sensors:
    """The host's temperature sensors, found once: walking /sys costs more than reading them."""

    def __init__(self) -> None:
        self._inputs = find_inputs(_HWMON) if sys.platform == "linux" else []

    def read(self, at: float) -> Part:
        """Return every sensor that answers, and the hottest."""
        sensors = _elsewhere() if sys.platform != "linux" else _linux(self._inputs)
        sensors = [sensor for sensor in sensors if math.isfinite(sensor.celsius)][:MOST_DEVICES]
        hottest = {"temperature_celsius": max(sensor.celsius for sensor in sensors)} if sensors else {}
        return Part(hottest, {"sensors": tuple(sensors)})


def find_inputs(hwmon: Path) -> list[tuple[str, str]]:
    """Return (name, path) of the temperature inputs under a hwmon class folder (kernel: hwmon/sysfs-interface)."""
    found = []
    for path in sorted(hwmon.glob("hwmon*/temp*_input")):
        chip = _word(path.parent / "name")
        label = _word(path.with_name(path.name.replace("_input", "_label"))) or path.name.removesuffix("_input")
        found.append((storable(f"{chip} {label}".strip(), 255), str(path)))
    return found


def _word(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _linux(inputs: list[tuple[str, str]]) -> list[Sensor]:
    sensors = []
    for name, path in inputs:
        try:
            sensors.append(Sensor(name, int(read(path)) / 1000))
        except (OSError, ValueError):
            # A chip that sleeps or was taken out answers with an error.
            continue
    return sensors


def _elsewhere() -> list[Sensor]:
    if not hasattr(psutil, "sensors_temperatures"):
        return []
    return [
        Sensor(storable(f"{chip} {one.label}".strip(), 255), one.current)
        for chip, readings in psutil.sensors_temperatures().items()
        for one in readings
    ]
