"""One connection between a task and the permit server: messages in, messages out, and word of its end."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from preannotation_assets.throttling.permit_messages import LINE_LIMIT, encode_line

__all__ = ["PermitLine"]


class PermitLine(asyncio.Protocol):
    """Tells each message as it comes, and sends together what is said in one turn of the event loop.

    A connection has the permits of a whole task, so a burst of replies is one writing and one reading. What
    is longer than ``longest`` bytes, or no message, ends it. A stream with a task that waits for its lines
    would take a third of a millisecond of CPU a request.
    """

    def __init__(
        self, tell: Callable[[dict[str, Any]], None], when_lost: Callable[[], None], longest: int = LINE_LIMIT
    ) -> None:
        self.is_lost = False
        self._longest = longest
        self.transport: asyncio.Transport | None = None
        self._tell = tell
        self._when_lost = when_lost
        self._begun = b""
        self._unsent: list[bytes] = []
        self._is_ending = False

    def listen(self, tell: Callable[[dict[str, Any]], None], longest: int) -> None:
        """Tells somebody else what comes from now on."""
        self._tell, self._longest = tell, longest

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when the connection stands."""
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by asyncio with what came."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            message = _message(line) if len(line) < self._longest else None
            if message is None:
                self.close()
            if self._is_ending or message is None:
                return
            self._tell(message)
        if len(self._begun) >= self._longest:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Called by asyncio at the end of the connection, from whichever side."""
        self.is_lost = True
        self._when_lost()

    def write(self, message: dict[str, object]) -> None:
        """Sends a message, together with all that is written before the event loop's next turn."""
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(encode_line(message))

    def close(self) -> None:
        """Sends what was written and ends the connection; nothing is told any more."""
        self._is_ending = True
        self._flush()
        if self.transport:
            self.transport.close()

    def _flush(self) -> None:
        if self._unsent and self.transport and not self.is_lost:
            self.transport.write(b"".join(self._unsent))
        self._unsent.clear()


def _message(line: bytes) -> dict[str, Any] | None:
    """None where a line is no message."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
