"""What a rule is. A new one is a file beside this one, a line in ``rules.py`` and one in ``limits.py``."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wire.snapshot import Details
from worker.detection.batch import Batch
from worker.detection.finding import Finding, Severity
from worker.detection.limits import Gate, Limit

LimitOf = Callable[[str], Limit]
"""The limit of a subject."""


class Rule(ABC):
    """Looks at one core metric of all snapshots at once. Where that is missing the rule says nothing."""

    type: ClassVar[str]
    """Of the events it opens."""
    metric: ClassVar[str]

    def breaches(self, batch: Batch, gate: Gate) -> NDArray[np.bool_]:
        """Return which rows are in breach, or may have a subject that is."""
        return batch.metric(self.metric) > gate.value

    @abstractmethod
    def evidence(self, details: Details, subject: str) -> dict[str, Any]:
        """Return what the snapshot shows of the cause, fit for JSON."""


class HostRule(Rule):
    """A rule whose subject is the host; the metric, a percentage, is its value."""

    @abstractmethod
    def severity(self, value: float, limit: Limit) -> Severity:
        """Return the severity of a value in breach."""


class SubjectRule(Rule):
    """A rule on something in the details; the core metric tells when these need to be read."""

    @abstractmethod
    def findings(self, details: Details, limit_of: LimitOf) -> Iterator[Finding]:
        """Yield a finding for each subject; a subject that is not there is clear."""
