"""A worker that trims and acknowledges before it commits: the mistake that ``bench faults`` must see."""

import sys
import time
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from cli.main import main
from store import positions
from worker.inbox import Head, Inbox

# From the acknowledgement to the commit, so that a kill falls between them.
BETWEEN_SECONDS = 0.6

_move = positions.move
_heads = Inbox.heads
_latest: list[tuple[Inbox, Mapping[int, Head]]] = []


def heads_remembered(inbox: Inbox, shards: Sequence[int], limit: int) -> dict[int, Head]:
    found = _heads(inbox, shards, limit)
    _latest[:] = [(inbox, found)]
    return found


def move_and_acknowledge(connection: Connection, moved: positions.Moved) -> None:
    _move(connection, moved)
    [(inbox, heads)] = _latest
    inbox.trim(heads)
    places = zip(moved.incarnation.tolist(), moved.sequence.tolist(), strict=True)
    inbox.acknowledge(dict(zip(moved.host_id.tolist(), places, strict=True)))
    time.sleep(BETWEEN_SECONDS)


if __name__ == "__main__":
    Inbox.heads = heads_remembered
    positions.move = move_and_acknowledge
    sys.exit(main(sys.argv[1:]))
