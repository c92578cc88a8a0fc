"""PostgreSQL's COPY in its binary format, whose bytes NumPy makes.

PostgreSQL's documentation of COPY, "Binary Format": signature, flags and the length of the header's extension; rows,
each a field count, then length and big-endian value of each field, for NULL a length of -1 and no value; a trailer.
"""

from sqlalchemy import Connection

from store.engine import driver_cursor

NULL_LENGTH = -1

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"


def copy_in(connection: Connection, table: str, columns: str, rows: bytes) -> None:
    """Write rows into a table of our own naming; ``columns`` is their list, separated by commas."""
    with (
        driver_cursor(connection) as cursor,
        cursor.copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.write(_HEADER + rows + _TRAILER)
