"""A model server that gives every chat the same recorded reply.

For hundreds of requests in flight on two cores. The stand-ins of the package make up all answers, which takes
most of the processor. Here a chat is answered ``--seconds`` after it came, everything else at once, and of a
recorded stream an event at a time is sent, at equal distances.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.inference.servers import JOURNAL_PATH
from preannotation_assets.model_servers.openai.load import LOAD_PATH

__all__: list[str] = []

_METRICS: Final = "vllm:num_requests_running {running}\nvllm:num_requests_waiting 0\n"
_EVENT_END: Final = b"\n\n"
_JSON: Final = "application/json"


@dataclass(slots=True)
class _Recorded:
    """What is answered to a chat (``pieces``, at equal distances in time), and elsewhere by path."""

    seconds: float
    chat_path: bytes
    pieces: Sequence[bytes]
    others: dict[bytes, bytes]
    open: dict["_Connection", float] = field(default_factory=dict)
    chats: list[tuple[float, float]] = field(default_factory=list)

    def reply(self, path: bytes) -> bytes:
        """The whole response to what is no chat."""
        if path == JOURNAL_PATH.encode():
            told = {"chats": self.chats, "cpu_seconds": time.process_time()}
            return _head(200, _JSON, json.dumps(told).encode())
        if path == LOAD_PATH.encode():
            return _head(200, "text/plain", _METRICS.format(running=len(self.open)).encode())
        return self.others.get(path, _head(404, _JSON, b"{}"))

    def end(self, connection: "_Connection") -> None:
        """Takes note that a chat is answered to the end."""
        arrived = self.open.pop(connection, None)
        if arrived is not None:
            self.chats.append((arrived, time.monotonic()))


class _Connection(asyncio.Protocol):
    """One connection: one request at a time, read whole before it is answered."""

    def __init__(self, recorded: _Recorded) -> None:
        self._recorded = recorded
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._missing = 0
        self._path = b""
        self._writing: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._recorded.open.pop(self, None)

    def data_received(self, data: bytes) -> None:
        """Collects a request, and answers it once it is whole."""
        if self._path:
            self._missing -= len(data)
        else:
            self._parts.append(data)
            head, end, body = b"".join(self._parts).partition(b"\r\n\r\n")
            if not end:
                return
            self._parts.clear()
            self._path = head.split(b" ", 2)[1]
            self._missing = _content_length(head) - len(body)
        if self._missing <= 0:
            self._answer()

    def write(self, data: bytes) -> None:
        if self._transport:
            self._transport.write(data)

    def _answer(self) -> None:
        recorded, path = self._recorded, self._path
        self._path = b""
        if path != recorded.chat_path:
            self.write(recorded.reply(path))
            return
        recorded.open[self] = time.monotonic()
        loop = asyncio.get_running_loop()
        if len(recorded.pieces) == 1:
            loop.call_later(recorded.seconds, self._write_whole)
        else:
            self._writing = asyncio.ensure_future(self._write_stream())

    def _write_whole(self) -> None:
        if self in self._recorded.open:
            self.write(self._recorded.pieces[0])
            self._recorded.end(self)

    async def _write_stream(self) -> None:
        """Each piece with the step of the server that it belongs to."""
        recorded = self._recorded
        step = recorded.seconds / len(recorded.pieces)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, piece in enumerate(recorded.pieces, 1):
            await asyncio.sleep(max(0.0, began + number * step - loop.time()))
            if self not in recorded.open:
                return
            self.write(piece)
        recorded.end(self)


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _head(status: int, content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} OK\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _pieces(content_type: str, body: bytes) -> list[bytes]:
    """A reply as it is written: at once, or an event at a time in chunks of HTTP."""
    if "event-stream" not in content_type:
        return [_head(200, content_type, body)]
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    events = [event + _EVENT_END for event in body.split(_EVENT_END) if event.strip()]
    chunks = [b"%x\r\n%s\r\n" % (len(event), event) for event in events]
    return [head + chunks[0], *chunks[1:-1], chunks[-1] + b"0\r\n\r\n"]


async def _serve(recorded: _Recorded) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(recorded), "127.0.0.1", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    print(f"replaying on http://127.0.0.1:{port}", flush=True)
    await server.serve_forever()


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference.replaying_server")
    parser.add_argument("--seconds", type=float, default=2.0, help="what a chat takes")
    parser.add_argument("--chat-path", required=True, help="where chats are sent to")
    parser.add_argument("recordings", type=Path, help="JSON: by path, media type and body of the reply")
    chosen = parser.parse_args()
    read = json.loads(chosen.recordings.read_text("utf-8"))
    recordings = {path: (kind, body.encode()) for path, (kind, body) in read.items()}
    kind, body = recordings.pop(chosen.chat_path)
    others = {path.encode(): _head(200, kind, body) for path, (kind, body) in recordings.items()}
    asyncio.run(_serve(_Recorded(chosen.seconds, chosen.chat_path.encode(), _pieces(kind, body), others)))


if __name__ == "__main__":
    _main()
