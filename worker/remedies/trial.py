"""A bash script that a user added, tried before it is handed to anybody: its plan is run, and no other mode.

It runs in an empty folder, without the worker's environment, for a short time, and as ``nobody`` where the worker is
root.
"""

import os
import pwd
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from store.remedies import BadParameter, Parameter, Value, check
from worker.forks import start
from worker.remedies.declaration import BadRemedy
from worker.remedies.render import Provenance, render
from worker.remedies.templates import FILES, Template

_SECONDS = 15
_CPU_SECONDS = 10
_MOST_BLOCKS = 1024
_SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CODES: Mapping[str, int] = {"planned": 0, "nothing": 0, "done": 0, "failed": 1, "usage": 2, "refused": 3}

# Tried for a string that has neither a default nor choices; the first that fits.
_HARMLESS = ("example", "/tmp", "example.service", "a", "1", "127.0.0.1", "example.com", "2026-01-01")  # noqa: S108
# Run by a shell that evaluates them: outside of quotes or in either kind; in arithmetic. The first of each that fits.
_HOSTILE = (
    ("$(touch written)'$(touch written)'\n-rf * %s", "$(touch written)", "`touch written`", "; touch written", "-rf"),
    ("a[$(touch written)]",),
)


class _Result(msgspec.Struct):
    """The last line of a script."""

    remedy: str
    mode: str
    outcome: str
    exit_code: int
    message: str
    before: dict[str, Any]
    after: dict[str, Any]
    changed: list[Any]


@dataclass(frozen=True)
class _Run:
    """What a script said and returned, in this mode."""

    where: str
    """For a person: with what it was run."""
    mode: str
    code: int
    last_line: bytes


def try_bash(template: Template) -> None:
    """Run a remedy's plan in bash, and the script without a mode and with one that there is not. Raises BadRemedy."""
    harmless = {parameter.name: _harmless(parameter) for parameter in template.remedy.parameters}
    # A needed parameter may be of a form that none of the values here has.
    is_complete = all(harmless[one.name] is not None for one in template.remedy.parameters if one.required)
    may_end = {0, 3} if is_complete else {0, 2, 3}
    _judge(template, _run(template, harmless, "plan"), may_end)
    _judge(template, _run(template, harmless, ""), {2})
    _judge(template, _run(template, harmless, "no-such-mode"), {2})
    for texts in _HOSTILE:
        hostile = {parameter.name: _hostile(parameter, texts) for parameter in template.remedy.parameters}
        if hostile != harmless:
            _judge(template, _run(template, hostile, "plan", f" and texts like {texts[0]!r}"), {0, 2, 3})


def _harmless(parameter: Parameter) -> Value:
    """Return a value that the parameter can have; None where it needs none, or none of these fits."""
    if parameter.default is not None or not parameter.required:
        return parameter.default
    return _first_fitting(parameter, (*parameter.choices, parameter.minimum, parameter.maximum, 1, False, *_HARMLESS))


def _hostile(parameter: Parameter, texts: tuple[str, ...]) -> Value:
    """Return the first of these texts that the parameter can have; a harmless value where it can have none."""
    is_free = parameter.type == "string" and not parameter.choices
    fitting = _first_fitting(parameter, texts) if is_free else None
    return _harmless(parameter) if fitting is None else fitting


def _first_fitting(parameter: Parameter, candidates: Iterable[Value]) -> Value:
    for candidate in candidates:
        with suppress(BadParameter):
            if candidate is not None:
                return check(parameter, candidate)
    return None


def _run(template: Template, values: Mapping[str, Value], mode: str, beside: str = "") -> _Run:
    where = f"{FILES['bash']}: run with {mode!r}{beside}" if mode else f"{FILES['bash']}: run without mode and terminal"
    text = render(template, "bash", values, Provenance(None, None)).content
    with tempfile.TemporaryDirectory(prefix="fleetmedic-trial-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        script, here, said = folder / FILES["bash"], folder / "here", folder / "said"
        script.write_text(text, "ascii")
        script.chmod(0o644)
        here.mkdir(mode=0o700)
        user = _user()
        if user is not None:
            os.chown(here, user, -1)
        # Limits by the shell: what Python runs in the child before it is not safe beside other threads.
        limits = f'ulimit -f {_MOST_BLOCKS} -t {_CPU_SECONDS} -c 0; exec bash "$@"'
        with said.open("wb") as output:
            code = _wait_for(
                start(
                    ["bash", "-c", limits, "bash", str(script), *([mode] if mode else [])],
                    cwd=here,
                    env={"PATH": _SEARCHED, "HOME": str(here), "TMPDIR": str(here), "LC_ALL": "C"},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                    user=user,
                    group=None if user is None else user,
                    extra_groups=None if user is None else [],
                ),
                where,
            )
        written = sorted(path.name for path in here.iterdir())
        if written:
            raise BadRemedy(f"{where} it wrote {written[0]!r}: only apply may change anything")
        lines = said.read_bytes().splitlines()
    return _Run(where, mode, code, lines[-1] if lines else b"")


def _wait_for(process: "subprocess.Popen[bytes]", where: str) -> int:
    try:
        return process.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        raise BadRemedy(f"{where} it did not end within {_SECONDS} s") from None
    finally:
        # With all that it started.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _judge(template: Template, run: _Run, may_end: set[int]) -> None:
    """Hold what a script returned against the contract. Raises BadRemedy."""
    where = run.where
    try:
        result = msgspec.json.decode(run.last_line, type=_Result)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRemedy(f"{where} its last line is no result ({error}): {run.last_line[:80]!r}") from None
    if run.code not in may_end:
        allowed = " or ".join(str(code) for code in sorted(may_end))
        raise BadRemedy(f"{where} it ends with {run.code} and not with {allowed}: {result.message}")
    if (result.exit_code, _CODES.get(result.outcome)) != (run.code, run.code):
        told = f"exit_code {result.exit_code} and outcome {result.outcome!r}"
        raise BadRemedy(f"{where} it ends with {run.code}, and its last line says {told}")
    if (result.remedy, result.mode) != (template.remedy.issue_type, run.mode):
        raise BadRemedy(f"{where} its last line says remedy {result.remedy!r} and mode {result.mode!r}")
    if result.changed:
        raise BadRemedy(f"{where} its last line says that something was changed")


def _user() -> int | None:
    """Return whom scripts are tried as, None for whoever the worker is."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return 65534
