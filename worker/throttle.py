"""How much one host may push: a credit that time gives back. Pure.

A host has ten minutes of credit. What it pushes spends it, and each second that passes gives a second back. So a host
that was cut off has a whole spool of snapshots taken in at once, one that takes snapshots without a pause is throttled
after a few seconds, and one that lies about when they were taken can no longer spend than a spool is long.
"""

from msgspec import Struct

CREDIT_SECONDS = 600.0
ENTRY_SECONDS = 0.02
"""What an entry costs: 30,000 at once, about what a spool of the default size holds, then 50 a second."""
HASTY_SECONDS = 0.1
"""What a snapshot costs that follows the one before it sooner than any collector would: 6,000, then 10 a second."""
_HASTE_SECONDS = 0.5
WATCHED_ENTRIES = 8
"""A host with fewer entries than this in a drain is not watched: that would cost more than it could do."""
_FORGIVEN_SECONDS = 0.25


class Credit(Struct):
    """What a watched host has spent. Times are Unix seconds."""

    now: float
    spent_until: float
    """When it will have all of its credit again."""
    taken_at: float
    """Of its last snapshot, by its own clock."""

    @property
    def is_spent(self) -> bool:
        """Whether nothing of it is left."""
        return self.spent_until - self.now > CREDIT_SECONDS

    @property
    def is_owed(self) -> bool:
        """Whether so much is spent that it must be remembered."""
        return self.spent_until - self.now > _FORGIVEN_SECONDS

    def spend(self, taken_at: float | None) -> None:
        """Pay for an entry; ``taken_at`` is that of a snapshot that was taken in."""
        cost = ENTRY_SECONDS
        if taken_at is not None:
            if abs(taken_at - self.taken_at) < _HASTE_SECONDS:
                cost = HASTY_SECONDS
            self.taken_at = taken_at
        self.spent_until = max(self.spent_until, self.now) + cost
