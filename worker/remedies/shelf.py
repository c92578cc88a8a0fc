"""All remedies that a process can render: the built-in ones, and those that users added, as the store has them now."""

from collections.abc import Mapping

from sqlalchemy import Engine

from store import own_remedies, remedies
from store.engine import reading
from worker.remedies.templates import Template

_RECENT_SECONDS = 1.0


class Shelf:
    """Holds the remedies between two looks at the store; what users added is read anew only where it changed."""

    def __init__(self, engine: Engine, built_in: Mapping[str, Template]) -> None:
        """Begin with the remedies that come with the product."""
        self._engine = engine
        self._built_in = built_in
        self._stamp: list[tuple[str, str]] = []
        self._all = dict(built_in)
        self._looked_at = float("-inf")

    def templates(self) -> dict[str, Template]:
        """Return all remedies by issue type. Raises store.engine.OUTAGES."""
        with reading(self._engine) as connection:
            stamp = own_remedies.stamp(connection)
            if stamp != self._stamp:
                own = {name: Template(*one) for name, one in remedies.own(connection).items()}
                self._all = {**own, **self._built_in}
                self._stamp = stamp
        return self._all

    def recent(self, now: float) -> dict[str, Template]:
        """Return what ``templates`` does, at most a second old: for drains, which only ask what answers an event.

        Raises store.engine.OUTAGES.
        """
        # A clock may be set back.
        if not 0 <= now - self._looked_at < _RECENT_SECONDS:
            self.templates()
            self._looked_at = now
        return self._all
