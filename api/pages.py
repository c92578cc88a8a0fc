"""The page and its files: static, and public, since they hold nothing of the fleet."""

import base64
import hashlib
import re
from http import HTTPStatus
from pathlib import Path, PurePosixPath

from flask import Blueprint, Response, redirect, request, send_from_directory
from flask.typing import ResponseReturnValue
from msgspec import Struct

from api.context import context
from api.operations import operation
from api.problems import Problem

FOLDER = Path(__file__).parents[1] / "dashboard"
"""Beside this package, in a checkout and where it is installed."""

blueprint = Blueprint("pages", __name__)

# Not from the system's table of types, which may lack one: a module of another type is not run.
_MEDIA_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_IMPORT_MAP = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)
_UNFINISHED = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Fleetmedic</title>
<h1>The page is not installed yet</h1>
<p>Its modules are missing. Run <code>make setup</code> in the folder of Fleetmedic's source, then load this page again.
"""


class PageQuery(Struct):
    """What the page reads by itself, in the browser."""


@blueprint.get("/")
@operation(query=PageQuery, statuses=(HTTPStatus.FOUND,), media_type="text/html")
def show_root(_: PageQuery) -> ResponseReturnValue:
    """Lead to the page."""
    return redirect("/monitoring-dashboard")


@blueprint.get("/monitoring-dashboard")
@operation(query=PageQuery, media_type="text/html")
def show_page(_: PageQuery) -> ResponseReturnValue:
    """Show the page."""
    folder = context().pages
    if not (folder / "vendor").is_dir():
        return Response(_UNFINISHED, HTTPStatus.SERVICE_UNAVAILABLE, mimetype="text/html")
    document = (folder / "index.html").read_bytes()
    response = Response(document, mimetype="text/html")
    response.headers["Content-Security-Policy"] = content_security_policy(document)
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    return response.make_conditional(request)


@blueprint.get("/dashboard/<path:path>")
@operation(media_type="*/*")
def show_file(path: str) -> ResponseReturnValue:
    """Show a file of the page: a module, a style, an image or a font."""
    media_type = _MEDIA_TYPES.get(PurePosixPath(path).suffix)
    if media_type is None or path.startswith("node_modules/"):
        raise Problem(HTTPStatus.NOT_FOUND, "the page has no such file")
    return send_from_directory(context().pages, path, mimetype=media_type)


def content_security_policy(document: bytes) -> str:
    """Return the policy of a page: nothing inline but its import map, which is named by its hash (CSP level 3)."""
    hashes = "".join(
        f" 'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"
        for text in _IMPORT_MAP.findall(document)
    )
    return (
        f"default-src 'none'; script-src 'self'{hashes}; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
