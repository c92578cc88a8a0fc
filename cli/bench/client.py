"""A client of the API with many threads, as the benches need it."""

import http.client
import threading


class Client:
    """Asks the API on this machine, over a connection of each thread's own."""

    def __init__(self, port: int, token: str) -> None:
        """Ask at this port with this bearer token."""
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._local = threading.local()

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        """Return the status and what is answered as it came. Raises OSError and HTTPException."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            return self._ask_over(connection, method, path, body)
        except ConnectionError:
            # The server closes a connection that rested; nothing was asked on it.
            return self._ask_over(connection, method, path, body)

    def _ask_over(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: str | None
    ) -> tuple[int, bytes]:
        try:
            connection.request(method, path, body, self._headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            # The next request opens it anew.
            connection.close()
            raise
