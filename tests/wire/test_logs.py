import logging
import sys

from wire.logs import VisibleFormatter

HOSTILE = "a\n2027-01-15 08:00:00 ERROR forged\r\x1b[2J\u202egnp.exe\u2028\x00"


def _logged(*arguments: object, failed: bool = False) -> str:
    record = logging.LogRecord("api", logging.ERROR, __file__, 1, "%s failed", arguments, None)
    if failed:
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            record.exc_info = sys.exc_info()
    return VisibleFormatter("%(levelname)s %(message)s").format(record)


def _is_plain(text: str) -> bool:
    return all(character.isprintable() for character in text)


def test_a_record_is_one_line_that_steers_no_terminal() -> None:
    assert _logged("disk /var") == "ERROR disk /var failed"
    line = _logged(HOSTILE)
    assert _is_plain(line)
    assert line.startswith(r"ERROR a\n2027-01-15 08:00:00 ERROR forged\r\x1b[2J\u202egnp")


def test_a_traceback_cannot_look_like_another_record() -> None:
    first, *rest = _logged("x", failed=True).split("\n")
    assert first == "ERROR x failed"
    assert all(line.startswith("  ") and _is_plain(line) for line in rest)
    assert rest[-1].startswith("  2027-01-15 08:00:00 ERROR forged")


def test_a_line_has_an_end() -> None:
    assert len(_logged("x" * 100_000)) < 5000
