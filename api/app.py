"""The Flask app: its routes, and what holds for all of them."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import redis
from flask import Flask, Response
from sqlalchemy import Engine

import migrations
from api import (
    auth,
    events,
    filesystems,
    fleet,
    generate_script,
    health,
    hosts,
    incidents,
    maintenance,
    monitor,
    openapi,
    optimize,
    pages,
    policies,
    prometheus,
    remedies,
    script_jobs,
    scripts,
    session,
    stream,
)
from api.attempts import Attempts
from api.context import Context, bind
from api.parsing import MAX_BODY_BYTES
from api.problems import handle_problems
from api.queue import Queue
from api.recent import Recent
from api.streams import Streams
from store.settings import ServerSettings

_REDIS_TIMEOUT_SECONDS = 2.0

_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def create_app(
    settings: ServerSettings,
    engine: Engine,
    own_host: str | None = None,
    now: Callable[[], float] = time.time,
    page_folder: Path = pages.FOLDER,
    streams: Streams | None = None,
) -> Flask:
    """Return the API on a database and a Redis; nothing is opened before the first request.

    ``own_host`` is the name of the host that a request means when it names none. Raises ValueError for a Redis URL
    that is none.
    """
    app = Flask("api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    # No redirects to another spelling of an address: a client would send its token twice.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    bind(
        app,
        Context(
            engine=engine,
            redis=redis.Redis.from_url(
                settings.redis_url,
                socket_timeout=_REDIS_TIMEOUT_SECONDS,
                socket_connect_timeout=_REDIS_TIMEOUT_SECONDS,
                retry=None,
            ),
            queue=Queue(settings.redis_url),
            admin_token=settings.admin_token.encode("utf-8", "surrogateescape"),
            attempts=Attempts(),
            streams=streams or Streams(),
            waiting=threading.Semaphore(script_jobs.MAX_WAITING),
            fleet_diagnosis=Recent(optimize.FLEET_KEPT_SECONDS),
            own_host=own_host,
            scripts_folder=settings.data_dir / "scripts",
            pages=page_folder,
            revision=migrations.head(),
            retention=settings.retention,
            now=now,
        ),
    )
    auth.require_sign_in(app)
    handle_problems(app)
    for noun in (
        health,
        prometheus,
        openapi,
        pages,
        session,
        hosts,
        filesystems,
        fleet,
        events,
        incidents,
        maintenance,
        remedies,
        policies,
        scripts,
        generate_script,
        optimize,
        monitor,
        stream,
    ):
        app.register_blueprint(noun.blueprint)
    app.after_request(_secure)
    return app


def _secure(response: Response) -> Response:
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response
