"""Running a bash fix as an administrator would: rendered by the product, with nothing on its standard input."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.remedies import complete
from worker.remedies.render import Provenance, render
from worker.remedies.templates import load_all

TEMPLATES = load_all()


@dataclass(frozen=True)
class Run:
    """What a fix said and returned."""

    code: int
    said: str
    result: dict[str, Any]
    """The last line."""


def render_fix(folder: Path, issue_type: str, **parameters: Any) -> Path:
    """Render a fix with these parameters into a folder of the test's, and return its file."""
    template = TEMPLATES[issue_type]
    rendered = render(template, "bash", complete(template.remedy, parameters), Provenance(17, "web-1"))
    script = folder / rendered.filename
    script.write_text(rendered.content)
    return script


def run_fix(folder: Path, issue_type: str, *arguments: str, inside: Sequence[str] = (), **parameters: Any) -> Run:
    """Render a fix with these parameters, in a folder of the test's, and run it, ``inside`` another command."""
    script = render_fix(folder, issue_type, **parameters)
    done = subprocess.run(
        [*inside, "bash", str(script), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.isascii()
    assert done.stdout.replace("\n", "").isprintable()
    return Run(done.returncode, done.stdout, json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def sleeping(folder: Path, name: str, *arguments: str, code: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Run a process of this name that does nothing, after some code, until the block ends."""
    program, fifo = folder / name, folder / "fifo"
    if not program.exists():
        program.symlink_to("/bin/bash")
    os.mkfifo(fifo)
    sleep = f"{code}\nread -r -t 60 <> {fifo}; :"
    process = subprocess.Popen([str(program), "-c", sleep, *arguments], stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
