"""What the routes of one app work with."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import redis
from flask import Flask, current_app
from sqlalchemy import Engine

from api.attempts import Attempts
from api.queue import Queue
from api.recent import Recent
from api.streams import Streams
from store.settings import Retention

_EXTENSION = "fleetmedic"


@dataclass(frozen=True)
class Context:
    """The connections and facts that an app was made with."""

    engine: Engine
    redis: "redis.Redis"
    queue: Queue
    admin_token: bytes
    attempts: Attempts
    streams: Streams
    waiting: threading.Semaphore
    """Lets so many requests wait for a script at the same time."""
    fleet_diagnosis: Recent[dict[str, Any]]
    """The last one, as it was answered: every page on the fleet asks for it."""
    own_host: str | None
    """The name that this machine has as a host, if it is one."""
    scripts_folder: Path
    """Where scripts are saved."""
    pages: Path
    """The folder of the page's files."""
    revision: str
    """The database revision that this code is written for."""
    retention: Retention
    now: Callable[[], float]


def bind(app: Flask, made: Context) -> None:
    """Give an app its context."""
    app.extensions[_EXTENSION] = made


def context() -> Context:
    """Return the context of the app that answers the present request."""
    return cast(Context, current_app.extensions[_EXTENSION])
