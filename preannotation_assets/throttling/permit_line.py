"""A task's connection to the permit server: lines in, lines out, and word of its end."""

import asyncio
from collections.abc import Callable

from preannotation_assets.throttling.permit_messages import LINE_LIMIT

__all__ = ["PermitLine"]


class PermitLine(asyncio.Protocol):
    """One connection, one line awaited at a time.

    A stream with a task that waits for its end would take a third of a millisecond of CPU a request.
    """

    def __init__(self) -> None:
        self.is_lost = False
        self._when_lost: Callable[[], object] | None = None
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._awaited: asyncio.Future[None] | None = None
        self._unsent: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when the connection stands."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by asyncio with what came."""
        self._received += data
        if len(self._received) > LINE_LIMIT and self._transport:
            self._transport.abort()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Called by asyncio at the end of the connection, from whichever side."""
        self.is_lost = True
        self._wake()
        if self._when_lost:
            self._when_lost()

    def call_when_lost(self, callback: Callable[[], object] | None) -> None:
        """What to call when the connection ends; None for nothing any more."""
        self._when_lost = callback

    def write(self, line: bytes) -> None:
        """Sends a line, behind those that were put off."""
        if self._transport and not self.is_lost:
            self._transport.write(b"".join((*self._unsent, line)))
        self._unsent.clear()

    def write_soon(self, line: bytes) -> None:
        """Sends a line together with the next one, if that comes before anything else is done."""
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(line)

    async def read(self) -> bytes | None:
        """The next line with its end; None where the connection ended before it."""
        while b"\n" not in self._received:
            if self.is_lost:
                return None
            self._awaited = asyncio.get_running_loop().create_future()
            await self._awaited
        line, _, self._received = self._received.partition(b"\n")
        return line

    def close(self) -> None:
        """Sends what was put off and ends the connection."""
        self._flush()
        if self._transport:
            self._transport.close()

    def _flush(self) -> None:
        if self._unsent:
            self.write(b"")

    def _wake(self) -> None:
        if self._awaited and not self._awaited.done():
            self._awaited.set_result(None)
