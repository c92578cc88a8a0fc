"""Python's search for garbage in cycles, as suits work that makes objects by the ten thousand, none of them in one."""

import gc

_OBJECTS_BETWEEN_SEARCHES = 50_000


def search_rarely() -> None:
    """Leave what there is by now out of every search, and search after so many new objects only."""
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_SEARCHES)
