"""Bytes to and from model servers for httpcore, on asyncio's own transports.

httpcore's own backend, over anyio, takes several scopes of cancellation and turns of the event loop for each
reading and writing. Here a reading is one future, and the head of a request goes out with its body.
"""

import asyncio
import ssl
from collections.abc import Iterable
from typing import Final

import httpcore

__all__ = ["AsyncioBackend"]

# A server that sends faster than it is read waits.
_MOST_UNREAD_BYTES: Final = 256 * 1024
# Where a name has several addresses, the next one is tried beside those before it (RFC 8305, section 5).
_NEXT_ADDRESS_SECONDS: Final = 0.25

_SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """Connects over TCP."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """A connection to a host.

        Raises:
            httpcore.ConnectTimeout: it took more than ``timeout`` seconds.
            httpcore.ConnectError: there is none.
        """
        loop = asyncio.get_running_loop()
        local = (local_address, 0) if local_address else None
        try:
            async with asyncio.timeout(timeout):
                _, received = await loop.create_connection(
                    _Received,
                    host,
                    port,
                    local_addr=local,
                    happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS,
                )
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        except OSError:
            raise httpcore.ConnectError from None
        return _Stream(received)


class _Received(asyncio.Protocol):
    """What came over a connection and was not read yet, and whether more can come or go."""

    def __init__(self) -> None:
        self.unread = bytearray()
        self.has_ended = False
        self.is_broken = False
        self.transport: asyncio.Transport | None = None
        self._awaited: asyncio.Future[None] | None = None
        self._is_held = False
        self._may_write = asyncio.Event()
        self._may_write.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.unread += data
        if len(self.unread) > _MOST_UNREAD_BYTES and self.transport and not self._is_held:
            self._is_held = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self.has_ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.has_ended, self.is_broken = True, exc is not None
        self._may_write.set()
        self._wake()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def take(self, most_bytes: int) -> bytes:
        """Bytes that came, in their order."""
        taken = bytes(self.unread[:most_bytes])
        del self.unread[:most_bytes]
        if self._is_held and self.transport and not self.unread:
            self._is_held = False
            self.transport.resume_reading()
        return taken

    async def something(self) -> None:
        """Waits until there is something to read, or never will be."""
        while not (self.unread or self.has_ended):
            self._awaited = asyncio.get_running_loop().create_future()
            await self._awaited

    @property
    def has_room(self) -> bool:
        """Whether what was written has left for the most part, or the connection has ended."""
        return self._may_write.is_set()

    async def room(self) -> None:
        """Waits for it."""
        await self._may_write.wait()

    def _wake(self) -> None:
        if self._awaited and not self._awaited.done():
            self._awaited.set_result(None)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection as httpcore uses it: it writes a request in pieces, then reads, then writes the next."""

    def __init__(self, received: _Received) -> None:
        self._received = received
        self._unsent: list[bytes] = []
        self._write_seconds: float | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Sends what was written, then waits for bytes; none at the end of the connection."""
        await self._send()
        received = self._received
        if not received.unread:
            try:
                async with asyncio.timeout(timeout):
                    await received.something()
            except TimeoutError:
                raise httpcore.ReadTimeout from None
        if received.is_broken and not received.unread:
            raise httpcore.ReadError
        return received.take(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Takes bytes that are sent with the next reading."""
        self._unsent.append(buffer)
        self._write_seconds = timeout

    async def aclose(self) -> None:
        """Ends the connection at once: a server that is still writing stops."""
        if self._received.transport:
            self._received.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The same connection, encrypted."""
        received = self._received
        if received.transport is None:
            raise httpcore.ConnectError
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                received.transport = await loop.start_tls(
                    received.transport, received, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError:
            await self.aclose()
            raise httpcore.ConnectTimeout from None
        except OSError:
            await self.aclose()
            raise httpcore.ConnectError from None
        return self

    def get_extra_info(self, info: str) -> object:
        """What httpcore asks for: ``is_readable`` says of an idle connection that it cannot be used again."""
        if info == "is_readable":
            return self._received.has_ended or bool(self._received.unread)
        transport = self._received.transport
        return transport.get_extra_info(info) if transport else None

    async def _send(self) -> None:
        received = self._received
        if not self._unsent or received.transport is None:
            return
        if not received.has_ended:
            received.transport.write(b"".join(self._unsent))
        self._unsent.clear()
        if received.has_room:
            return
        try:
            async with asyncio.timeout(self._write_seconds):
                await received.room()
        except TimeoutError:
            raise httpcore.WriteTimeout from None
