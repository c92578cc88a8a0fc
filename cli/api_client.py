"""Asking the API, as the commands that show something do."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from cli.errors import CommandFailed
from wire.text import visible

# The API itself waits ten seconds for a script.
_TIMEOUT_SECONDS = 15.0


class ApiUnreachable(CommandFailed):
    """Nobody answers at the API's URL."""


class ApiClient:
    """Speaks JSON with one API, with one bearer token."""

    def __init__(self, url: str, token: str) -> None:
        """Take the API's root URL, ``http://HOST:PORT``."""
        self._url = url.rstrip("/")
        self._token = token

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "ApiClient":
        """Build it from FLEETMEDIC_API_URL and FLEETMEDIC_ADMIN_TOKEN. Raises CommandFailed where there is no URL."""
        url = environment.get("FLEETMEDIC_API_URL")
        if not url:
            raise CommandFailed(
                "no server found: start one with `fleetmedic up`, name its data folder with --data-dir, or set "
                "FLEETMEDIC_API_URL and FLEETMEDIC_ADMIN_TOKEN"
            )
        if not url.startswith(("http://", "https://")):
            raise CommandFailed(f"FLEETMEDIC_API_URL is {visible(url)!r}: http://HOST:PORT is needed")
        return cls(url, environment.get("FLEETMEDIC_ADMIN_TOKEN", ""))

    def get(self, path: str, **parameters: str | None) -> dict[str, Any]:
        """Return the JSON object at ``path``; parameters of None are left out. Raises CommandFailed."""
        query = urllib.parse.urlencode({name: value for name, value in parameters.items() if value is not None})
        return self._ask(f"{path}?{query}", None)

    def post(self, path: str, document: Mapping[str, object]) -> dict[str, Any]:
        """Send a JSON object and return the one that is answered. Raises CommandFailed."""
        return self._ask(path, json.dumps(document).encode())

    def _ask(self, path: str, body: bytes | None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        # The scheme was checked: no file is ever opened.
        request = urllib.request.Request(f"{self._url}{path}", body, headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
                document = json.load(response)
        except urllib.error.HTTPError as error:
            raise CommandFailed(f"the API at {visible(self._url)} says: {_detail(error)}") from None
        except (OSError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)
            raise ApiUnreachable(f"the API at {visible(self._url)} does not answer: {cause}") from None
        except ValueError:
            raise CommandFailed(f"{visible(self._url)} is not Fleetmedic's API: its answer is not JSON") from None
        if not isinstance(document, dict):
            raise CommandFailed(f"{visible(self._url)} is not Fleetmedic's API: its answer is not an object")
        return document

    def items(self, path: str, **parameters: str | None) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, page after page. Raises CommandFailed."""
        cursor = None
        while True:
            page = self.get(path, **parameters, cursor=cursor)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return


def _detail(error: urllib.error.HTTPError) -> str:
    """Return what a problem document (RFC 9457) says, else the status line."""
    try:
        detail = visible(str(json.load(error)["detail"]))
    except (ValueError, KeyError, TypeError, OSError):
        detail = f"{error.code} {error.reason}"
    return f"{detail} (check FLEETMEDIC_ADMIN_TOKEN)" if error.code == 401 else detail
