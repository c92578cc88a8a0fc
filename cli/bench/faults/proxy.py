"""A TCP proxy before Redis that harms what it carries: cuts it, delays it, closes one half of it."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

Tap = Callable[[int, bytes], None]
"""Hears what clients send: the number of a connection, and the next bytes of it."""

_CHUNK_BYTES = 64 * 1024
_LOOK_SECONDS = 0.05


class _Link:
    """One connection through the proxy."""

    def __init__(self, number: int, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.number = number
        self.client = client
        self.server = server
        self.is_deaf = False
        """Whether what the client sends goes nowhere."""

    def cut(self) -> None:
        self.client.transport.abort()
        self.server.transport.abort()


class Proxy:
    """Carries connections to a port of this machine, in a thread of its own, from ``start`` to ``stop``."""

    def __init__(self, target_port: int, tap: Tap = lambda *_: None) -> None:
        """Carry to this port; ``tap`` is called in the proxy's thread."""
        self.port = 0
        self._target_port = target_port
        self._tap = tap
        self._links: set[_Link] = set()
        self._count = 0
        self._delay_seconds = 0.0
        self._refusing = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()
        opening = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._carry, "127.0.0.1"), self._loop)
        self._server = opening.result()
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """End all connections and the thread."""

        async def end() -> None:
            self._server.close()
            self._refusing = True
            while carrying := asyncio.all_tasks() - {asyncio.current_task()}:
                self._cut()
                await asyncio.wait(carrying, timeout=_LOOK_SECONDS)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # The harm; each returns how many connections it did it to.

    def cut(self) -> int:
        """Reset all connections, and refuse new ones until ``mend``."""
        return self._do(self._cut_and_refuse)

    def delay(self, seconds: float) -> int:
        """From now until ``mend`` hold back all that passes, either way, for so long."""

        def hold_back() -> int:
            self._delay_seconds = seconds
            return len(self._links)

        return self._do(hold_back)

    def half_close(self) -> int:
        """Close one half of all connections there are.

        Every other one as TCP knows it: the client reads an end, and may go on to send. Of the others Redis is gone
        and the client is not told, as when a router forgot the connection.
        """
        return self._do(self._half_close)

    def mend(self) -> None:
        """Take new connections, and carry without delay."""

        def clear() -> int:
            self._refusing = False
            self._delay_seconds = 0.0
            return 0

        self._do(clear)

    def _do(self, harm: Callable[[], int]) -> int:
        async def run() -> int:
            return harm()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def _cut_and_refuse(self) -> int:
        self._refusing = True
        return self._cut()

    def _cut(self) -> int:
        links = list(self._links)
        for link in links:
            link.cut()
        return len(links)

    def _half_close(self) -> int:
        links = [link for link in self._links if not link.is_deaf]
        for link in links:
            link.is_deaf = True
            if link.number % 2:
                with suppress(OSError):
                    link.client.write_eof()
            else:
                link.server.transport.abort()
        return len(links)

    # Carrying

    async def _carry(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self._refusing:
            client.transport.abort()
            return
        try:
            server_reader, server = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            client.transport.abort()
            return
        self._count += 1
        link = _Link(self._count, client, server)
        self._links.add(link)
        try:
            await asyncio.gather(self._from_client(reader, link), self._from_server(server_reader, link))
        except OSError:
            pass
        finally:
            link.cut()
            self._links.discard(link)

    async def _from_client(self, reader: asyncio.StreamReader, link: _Link) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            self._tap(link.number, data)
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            if not link.is_deaf:
                link.server.write(data)
                await link.server.drain()
        link.server.transport.abort()

    async def _from_server(self, reader: asyncio.StreamReader, link: _Link) -> None:
        try:
            while data := await reader.read(_CHUNK_BYTES):
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                if not link.is_deaf:
                    link.client.write(data)
                    await link.client.drain()
        except OSError:
            if not link.is_deaf:
                raise
        if not link.is_deaf:
            link.client.transport.abort()
