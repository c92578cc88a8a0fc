"""Remedies for tests, and one who makes scripts of them as a worker does."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from sqlalchemy import Engine

from store import remedies
from store.engine import writing
from store.remedies import Parameter, Remedy
from wire.keys import QUEUE_SCRIPTS, script_done
from worker.remedies.templates import Template
from worker.script_jobs import render_jobs

NOW = 1_800_000_000.0
SCRIPT = "#!/bin/bash\n# fleetmedic: values\necho done\n"
POWERSHELL = "param([string]$Mode\n)\n# fleetmedic: values\nWrite-Output done\n"

CPU_HIGH = Remedy(
    issue_type="cpu_high",
    title="End it",
    description="Ends the busiest process.",
    version="1.2.0",
    events=("cpu_high", "cpu_spike"),
    risk="high",
    requires_admin=True,
    parameters=(
        Parameter("pid", "integer", "whom to end", minimum=2, maximum=4194304),
        Parameter("start_time", "number", "when it started", minimum=0),
        Parameter("grace_seconds", "integer", "how long to wait", default=10, minimum=1, maximum=300),
        Parameter("share", "number", "no bounds at all"),
        Parameter("action", "string", "what to do", default="terminate", choices=("terminate", "renice")),
        Parameter("force", "boolean", "do not ask", default=False),
    ),
)
SERVICE_RESTART = Remedy(
    issue_type="service_restart",
    title="Start it",
    description="Starts what stands.",
    version="1.0.0",
    events=("service_down",),
    risk="low",
    requires_admin=True,
    parameters=(Parameter("service", "string", "its name", required=True, max_length=20, pattern="[a-z@.-]+"),),
    script_types=("bash",),
)
TEMPLATES = {
    "cpu_high": Template(CPU_HIGH, {"bash": SCRIPT, "powershell": POWERSHELL}),
    "service_restart": Template(SERVICE_RESTART, {"bash": SCRIPT}),
}


def publish(engine: Engine) -> None:
    with writing(engine) as connection:
        remedies.publish(connection, [template.remedy for template in TEMPLATES.values()], NOW)


def tasks(client: "redis.Redis") -> list[tuple[str, list[int]]]:
    """Take the tasks that wait for who makes scripts, the oldest first, as (name, ids of scripts)."""
    messages = [json.loads(message) for message in client.rpop(QUEUE_SCRIPTS, 1000) or []]
    return [(message["headers"]["task"], json.loads(base64.b64decode(message["body"]))[0][0]) for message in messages]


@contextmanager
def scripts_being_made(engine: Engine, redis_url: str, announced: bool = True) -> Iterator[None]:
    """Make every script that is asked for meanwhile."""
    done = threading.Event()

    def work() -> None:
        with redis.Redis.from_url(redis_url) as client:
            while not done.wait(0.01):
                for _, ids in tasks(client):
                    for script_id in render_jobs(engine, TEMPLATES, ids, NOW + 1):
                        if announced:
                            client.rpush(script_done(script_id), 1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
