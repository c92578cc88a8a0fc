"""A steady pace: when the next snapshot is due."""


class Pace:
    """Times at a fixed distance from a start, by the monotonic clock. A time that was missed is left out."""

    def __init__(self, at: float, first_seconds: float, interval_seconds: float) -> None:
        """Start at ``at``; the second time is ``first_seconds`` later, then every ``interval_seconds``."""
        self.interval_seconds = interval_seconds
        self._next = at
        self._step = min(first_seconds, interval_seconds)

    def wait(self, at: float) -> float:
        """Return the seconds until the next time; 0 when it has come."""
        return max(0.0, self._next - at)

    def advance(self, at: float) -> None:
        """Go on from the time that has come to the first one that lies ahead of ``at``."""
        missed = max(0, int((at - self._next - self._step) // self.interval_seconds) + 1)
        self._next += self._step + missed * self.interval_seconds
        self._step = self.interval_seconds
