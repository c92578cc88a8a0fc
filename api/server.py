"""The API's process: gunicorn with one worker of several threads, on a port of our own."""

import errno
import logging
import signal
import socket
import sys
from http import HTTPStatus
from typing import Any

from flask import Flask
from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import ThreadWorker

import migrations
from api.app import create_app
from api.problems import PROBLEM_TYPE, Problem, problem_document
from api.streams import MAX_STREAMS, Streams
from store.engine import UnsafeSqlite, connect
from store.settings import ServerSettings
from wire.logs import log_to_stderr
from wire.text import visible

# A stream holds its thread for as long as it is open: as many again are there for everything else.
_THREADS = 2 * MAX_STREAMS
_BACKLOG = 512
_GRACE_SECONDS = 2
_MAX_REQUEST_LINE_BYTES = 8190
"""Gunicorn's most: the longest query that fits is never cut off."""


def main(settings: ServerSettings, host: str, port: int) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code, 1 when it cannot start (with the reason on stderr)."""
    log_to_stderr(logging.WARNING)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        engine = connect(settings.database_url)
        streams = Streams()
        app = create_app(settings, engine, socket.gethostname(), streams=streams)
        listener = _bind(host, port)
        migrations.wait_until_current(engine, _say)
        listener.listen(_BACKLOG)
    except (ValueError, UnsafeSqlite) as error:
        _say(str(error))
        return 1
    except OSError as error:
        _say(_port_fault(error, host, port))
        return 1
    # No connection may be shared with the child that gunicorn forks; the app has opened none yet.
    engine.dispose()
    try:
        _Server(app, listener, streams).run()
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else 0
    return 0


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn, configured here and by nothing else."""

    def __init__(self, app: Flask, listener: socket.socket, streams: Streams) -> None:
        self._app = app
        self._streams = streams
        self._address = f"http://{_shown(*listener.getsockname()[:2])}"
        self._descriptor = listener.detach()
        super().__init__()

    def load_config(self) -> None:
        options: dict[str, Any] = {
            "bind": f"fd://{self._descriptor}",
            "workers": 1,
            "worker_class": _ProblemWorker,
            "threads": _THREADS,
            "graceful_timeout": _GRACE_SECONDS,
            "keepalive": 5,
            "limit_request_line": _MAX_REQUEST_LINE_BYTES,
            "loglevel": "warning",
            "accesslog": None,
            "control_socket_disable": True,
            "proc_name": "fleetmedic-api",
            "when_ready": lambda _arbiter: _say(f"listening on {self._address}"),
            "post_worker_init": self._end_streams_with,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._app

    def _end_streams_with(self, worker: Worker) -> None:
        self._streams.are_to_end = lambda: not worker.alive


class _ProblemWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Also what is no proper HTTP, so that no route ever sees it, is answered with a problem document."""

    def handle_error(self, request: Any, client: socket.socket, address: tuple[str, int], error: Exception) -> None:
        """Answer a request that cannot be read."""
        if not isinstance(error, ParseException):
            super().handle_error(request, client, address, error)
            return
        self.log.warning("refused what %s sent: %s", address[0] if address else "a client", error)
        problem = _refusal(error)
        document = problem_document(problem)
        head = (
            f"HTTP/1.1 {problem.status.value} {problem.status.phrase}\r\nConnection: close\r\n"
            f"Content-Type: {PROBLEM_TYPE}\r\nContent-Length: {len(document)}\r\n\r\n"
        )
        try:
            util.write_nonblock(client, head.encode() + document)
        except OSError as gone:
            self.log.debug("the refusal did not reach the client: %s", gone)


def _refusal(error: ParseException) -> Problem:
    if isinstance(error, LimitRequestLine):
        detail = f"the address is too long: with the method, {_MAX_REQUEST_LINE_BYTES} bytes are the most"
        return Problem(HTTPStatus.REQUEST_URI_TOO_LONG, detail)
    if isinstance(error, LimitRequestHeaders):
        return Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too many or too long")
    return Problem(HTTPStatus.BAD_REQUEST, f"this is no HTTP request: {error}")


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket on the port that does not listen yet: until the database is there, clients are refused."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except BaseException:
        listener.close()
        raise
    return listener


def _port_fault(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {visible(host)} is taken by another program: choose one with --port"
    if error.errno == errno.EACCES:
        return f"port {port} is not allowed for this user: choose one above 1023 with --port"
    return f"cannot listen on {_shown(visible(host), port)}: {error.strerror or error}"


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _say(text: str) -> None:
    sys.stderr.write(f"fleetmedic api: {text}\n")
    sys.stderr.flush()
