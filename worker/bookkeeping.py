"""What a drain writes of its hosts' sequence numbers: ledgers and gaps."""

import math
from typing import Any

from sqlalchemy import Connection

from store import records
from store.ledger import Ledger, ledgers, write_ledgers
from wire.entry import Entry
from wire.snapshot import Gap
from wire.text import storable
from worker.admission import Admitted, Line
from worker.ledger import Undelivered, settle, undelivered
from worker.matrix import Rows


def keep_books(connection: Connection, admitted: Admitted, rows: Rows, now: float) -> None:
    """Write the gaps, and add to the ledgers of the hosts of which something is out of the ordinary."""
    lines = {
        host: line
        for host, line in admitted.lines.items()
        if line.addition is not None or (line.credit is not None and line.credit.is_owed)
    }
    if not lines:
        return
    before = ledgers(connection, list(lines))
    gaps = [_declared_row(entry, gap, now) for entry, gap in admitted.gaps]
    changed = {}
    for host, line in lines.items():
        ledger, addition = before.get(host, Ledger()), line.noted
        if addition.ended:
            gaps += [_undelivered_row(host, end, now) for end in _undelivered(ledger, line, rows)]
        changed[host] = settle(ledger, addition, line.incarnation, line.sequence, now)
        if line.credit is not None:
            changed[host].spent_until = line.credit.spent_until
    write_ledgers(connection, changed)
    records.write_gaps(connection, gaps)


def _undelivered(before: Ledger, line: Line, rows: Rows) -> list[Undelivered]:
    here = rows.stored.host_id == line.position.host_id
    stored = list(zip(rows.stored.incarnation[here].tolist(), rows.stored.taken_at[here].tolist(), strict=True))
    return undelivered(before, line.noted, line.incarnation, stored, line.position.taken_at)


def _declared_row(entry: Entry, gap: Gap, now: float) -> dict[str, Any]:
    return {
        "host_id": entry.host,
        "incarnation": entry.incarnation,
        "first_sequence": gap.first,
        "last_sequence": gap.last,
        "reason": storable(gap.reason, 255),
        "first_taken_at": gap.first_taken_at if math.isfinite(gap.first_taken_at) else None,
        "last_taken_at": gap.last_taken_at if math.isfinite(gap.last_taken_at) else None,
        "received_at": now,
        "declared": True,
    }


def _undelivered_row(host_id: int, end: Undelivered, now: float) -> dict[str, Any]:
    return {"host_id": host_id, **end._asdict(), "received_at": now, "declared": False}
