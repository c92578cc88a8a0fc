"""Network interfaces, and TCP connections and retransmits."""

import sys

import psutil

from collector.rates import Counters, Reading, rates, total
from collector.readers import MOST_DEVICES, Part
from collector.readers.procfs import read
from wire.snapshot import Interface
from wire.text import storable

_RECEIVED, _SENT, _ERRORS, _DROPS = range(4)
_LOOPBACK = ("lo", "lo0", "Loopback")


class Network:
    """Activity of each interface since the reading before, loopback excepted."""

    def __init__(self) -> None:
        self._before: Reading | None = None
        self._tcp: Reading | None = None

    def read(self, at: float) -> Part:
        """Return the sums over all interfaces, each interface, and TCP's own figures."""
        counters = parse_net_dev(_proc_net("dev")) if sys.platform == "linux" else _elsewhere()
        now = Reading(at, {name: values for name, values in counters.items() if not _is_loopback(name)})
        moved = rates(self._before, now)
        self._before = now
        devices = moved.values()
        core = {
            "network_receive_bytes_per_second": total(devices, _RECEIVED),
            "network_transmit_bytes_per_second": total(devices, _SENT),
            "network_errors_per_second": total(devices, _ERRORS),
            "network_drops_per_second": total(devices, _DROPS),
        } | self._read_tcp(at)
        names = list(now.counters)
        if len(names) > MOST_DEVICES:
            # A host of many containers has an interface for each: those that moved most are worth keeping.
            names.sort(key=lambda name: sum(now.counters[name][:2]), reverse=True)
        missing = (float("nan"),) * 4
        interfaces = tuple(Interface(storable(name, 255), *moved.get(name, missing)) for name in names[:MOST_DEVICES])
        return Part(core, {"interfaces": interfaces})

    def _read_tcp(self, at: float) -> dict[str, float]:
        if sys.platform == "linux":
            established, retransmitted = parse_snmp(_proc_net("snmp"))
            now = Reading(at, {"tcp": (retransmitted,)})
            core = {"tcp_connections": established}
            for (rate,) in rates(self._tcp, now).values():
                core["tcp_retransmits_per_second"] = rate
            self._tcp = now
            return core
        if sys.platform == "win32":
            connections = psutil.net_connections("tcp")
            return {"tcp_connections": sum(one.status == psutil.CONN_ESTABLISHED for one in connections)}
        # Elsewhere only an administrator may list the connections of others.
        return {}


def _proc_net(file: str) -> bytes:
    """Return a file of /proc/net as the machine's first process has it: in a container, that of the host's network."""
    try:
        return read(f"/proc/1/net/{file}")
    except OSError:
        # Mounted with hidepid, proc(5) shows nobody else's processes.
        return read(f"/proc/net/{file}")


def _is_loopback(name: str) -> bool:
    return name in _LOOPBACK or name.startswith("Loopback ")


def parse_net_dev(text: bytes) -> dict[str, Counters]:
    """Read /proc/net/dev as counters by interface: bytes in and out, errors and drops of both directions."""
    counters: dict[str, Counters] = {}
    for line in text.splitlines()[2:]:
        name, _, values = line.rpartition(b":")
        fields = [float(field) for field in values.split()]
        counters[name.strip().decode("utf-8", "replace")] = (
            fields[0],
            fields[8],
            fields[2] + fields[10],
            fields[3] + fields[11],
        )
    return counters


def parse_snmp(text: bytes) -> tuple[float, float]:
    """Read /proc/net/snmp as (established connections, segments sent again), IPv4 and IPv6 together (RFC 4022)."""
    names, values = (line.split() for line in text.splitlines() if line.startswith(b"Tcp:"))
    tcp = dict(zip(names, values, strict=True))
    return float(tcp[b"CurrEstab"]), float(tcp[b"RetransSegs"])


def _elsewhere() -> dict[str, Counters]:
    return {
        name: (one.bytes_recv, one.bytes_sent, one.errin + one.errout, one.dropin + one.dropout)
        for name, one in psutil.net_io_counters(pernic=True, nowrap=False).items()
    }
