"""The limits that hold for each host and subject: the defaults, and over them what the host's policies set.

A drain makes these anew from the policies it reads. Hosts under the same policies share one ``HostLimits``, and where
there are no policies all hosts do.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import translate
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.detection.limits import DEFAULTS, HOST_DOWN, Gate, Limit, Limits

_BASE: Limits = {**DEFAULTS, "host_down": HOST_DOWN}
# Of types whose limits are not kept here: they can be switched off, and no more.
_ANY = Limit(0.0, opens_after_seconds=0.0, minimum_snapshots=1)
_PROCESS = re.compile(r"(.*) \(pid [0-9]+\)", re.DOTALL)


class Override(NamedTuple):
    """What a policy sets for a type of event."""

    subject: str
    """Of which subjects: a name or a pattern with ``*`` and ``?``, of a process its name; empty for every one."""
    fields: Mapping[str, Any]
    """Those of ``Limit`` that it sets, by name."""


class HostLimits:
    """The limits of the hosts that are under the same policies."""

    def __init__(self, overrides: Mapping[str, Sequence[Override]] = MappingProxyType({})) -> None:
        """Lay the overrides of each type over its default, one after the other: the last one wins."""
        self._overrides = overrides
        self._known: dict[tuple[str, str], Limit] = {}
        self._by_subject = {kind for kind, some in overrides.items() if any(override.subject for override in some)}
        self.switch_off = any(
            override.fields.get("enabled") is False for some in overrides.values() for override in some
        )
        """Whether any of them switches anything off."""

    def of(self, event_type: str, subject: str = "") -> Limit:
        """Return the limit of a subject, of the host itself where none is named."""
        # What hosts call their subjects is kept only where it matters.
        key = event_type, subject if event_type in self._by_subject else ""
        limit = self._known.get(key)
        if limit is None:
            limit = self._known[key] = self._resolved(*key)
        return limit

    def lowest(self, event_type: str) -> float:
        """Return the lowest value that any subject of a type may have as its limit, infinite where all are off."""
        usual = self.of(event_type)
        lowest = usual.value if usual.enabled else math.inf
        for override in self._overrides.get(event_type, ()):
            if override.subject:
                lowest = min(lowest, override.fields.get("value", usual.value))
        return lowest

    def _resolved(self, event_type: str, subject: str) -> Limit:
        limit = _BASE.get(event_type, _ANY)
        for override in self._overrides.get(event_type, ()):
            if matches(override.subject, subject):
                limit = replace(limit, **override.fields)
        # However limit and margin come together, a value of zero is clear.
        return replace(limit, clear_margin=min(limit.clear_margin, limit.value / 2))


@dataclass(frozen=True)
class BatchLimits:
    """The limits of a batch's hosts."""

    kinds: Sequence[HostLimits]
    kind: NDArray[np.int64] | None = None
    """(H,) which of them each host is under; None where all are under the first."""

    def of_host(self, place: int) -> HostLimits:
        """Return those of the host at this place."""
        return self.kinds[0 if self.kind is None else int(self.kind[place])]

    def gate(self, event_type: str, host: NDArray[np.int64]) -> Gate:
        """Return the gate of a type for rows of these hosts, given by their places."""
        if self.kind is None:
            return Gate(self.kinds[0].lowest(event_type), self.kinds[0].of(event_type).rise)
        rows = self.kind[host]
        return Gate(
            np.array([limits.lowest(event_type) for limits in self.kinds], np.float32)[rows],
            np.array([limits.of(event_type).rise for limits in self.kinds], np.float32)[rows],
        )


NO_POLICIES = BatchLimits((HostLimits(),))
"""The defaults for all hosts."""


def matches(pattern: str, subject: str) -> bool:
    """Tell whether a policy's pattern is of a subject: in full, by ``*`` and ``?``, or by the name of its process."""
    if not pattern or pattern == subject:
        return True
    process = _PROCESS.fullmatch(subject)
    if process and pattern == process[1]:
        return True
    return is_glob(pattern) and _expression(pattern).fullmatch(process[1] if process else subject) is not None


def is_glob(pattern: str) -> bool:
    """Tell whether a pattern has a wildcard."""
    return "*" in pattern or "?" in pattern


@lru_cache(1000)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern.replace("[", "[[]")))
