"""A worker whose scripts for some mounts take for ever, and for others end it."""

import os
import signal
import sys
import time
from collections.abc import Mapping

from cli.main import main
from store.remedies import ScriptType, Value
from worker import script_jobs
from worker.remedies.render import Provenance, Rendered
from worker.remedies.templates import Template

ENDLESS = "/endless"
DEADLY = "/deadly"

_render = script_jobs.render


def render(
    template: Template, script_type: ScriptType, parameters: Mapping[str, Value], provenance: Provenance
) -> Rendered:
    if parameters["mount"] == ENDLESS:
        time.sleep(3600)
    if parameters["mount"] == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    return _render(template, script_type, parameters, provenance)


if __name__ == "__main__":
    script_jobs.render = render
    sys.exit(main(sys.argv[1:]))
