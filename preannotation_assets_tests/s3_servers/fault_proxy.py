"""A proxy before an S3 server that loses requests and replies, breaks bodies, and hangs where it is told."""

import http.client
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from s3_servers.exchanges import Exchange, Habit, Reply

__all__ = ["FaultProxy", "HangPoint", "Moment"]

Refuse = Callable[[str, dict[str, str]], tuple[int, str] | None]
"""Takes method and headers; gives status and error code, or None to let the request pass."""

_HANG_SECONDS = 60.0


class Moment(StrEnum):
    """How far a request gets before it hangs."""

    BEFORE = "nothing has reached the server"
    HALF = "half of the body has reached the server"
    AFTER = "the server has done the work and the reply is held back"


@dataclass(frozen=True, slots=True)
class HangPoint:
    """The first request with this method whose path ends so hangs at that moment."""

    command: str
    path_end: str
    moment: Moment


class FaultProxy(ThreadingHTTPServer):
    """Hands requests on and spoils the next ones on demand.

    ``one_at_a_time`` is entered around every request to the server: moto compares and writes in two
    steps, S3 in one, so moto needs a lock there.
    """

    daemon_threads = True
    # The readers of the answer store are 16; what finds the queue full tries again after a second.
    request_queue_size = 128

    def __init__(self, target: tuple[str, int], one_at_a_time: AbstractContextManager[object]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.one_at_a_time = one_at_a_time
        self.counting = threading.Lock()
        self.spared_puts = 0
        self.lost_replies = 0
        self.cut_bodies = 0
        self.lost_requests = 0
        self.errors_after_work = 0
        self.dropped_headers: frozenset[str] = frozenset()
        self.refuse: Refuse | None = None
        self.habit: Habit | None = None
        self.requests: list[str] = []
        self.hang_point: HangPoint | None = None
        self.spared_hangs = 0
        self.hanging = threading.Event()
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def take(self, name: str) -> bool:
        with self.counting:
            left: int = getattr(self, name)
            setattr(self, name, max(0, left - 1))
            return left > 0

    def hang_at(self, point: HangPoint, *, spared: int = 0) -> None:
        """Let the next such request but ``spared`` ones hang, until ``release``."""
        self.spared_hangs = spared
        self.hanging.clear()
        self.released.clear()
        self.hang_point = point

    def release(self) -> None:
        """Break off what hangs."""
        self.released.set()

    def take_hang(self, command: str, path: str) -> Moment | None:
        with self.counting:
            point = self.hang_point
            if (
                point is None
                or command != point.command
                or not path.partition("?")[0].endswith(point.path_end)
            ):
                return None
            if self.spared_hangs:
                self.spared_hangs -= 1
                return None
            self.hang_point = None
            return point.moment

    def hang(self) -> None:
        self.hanging.set()
        self.released.wait(_HANG_SECONDS)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: connections break on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave in two segments; without this the second waits 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    server: FaultProxy

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = dict(self.headers.items())
        self.server.requests.append(f"{self.command} {self.path}")
        hang = self.server.take_hang(self.command, self.path)
        if hang is not None:
            self._hang(hang, headers, body)
            return
        refusal = self.server.refuse and self.server.refuse(self.command, headers)
        if refusal:
            self._answer_error(*refusal)
            return
        spoilt = self.command == "PUT" and not self.server.take("spared_puts")
        if spoilt and self.server.take("lost_requests"):
            self._hang_up()
            return
        status, reason, reply_headers, reply = self._ask_with_habit(headers, body)
        if spoilt and self.server.take("lost_replies"):
            self._hang_up()
        elif spoilt and self.server.take("errors_after_work"):
            self._answer_error(503, "SlowDown")
        else:
            self._answer(status, reason, reply_headers, reply)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass  # noqa: N815

    def _hang(self, moment: Moment, headers: dict[str, str], body: bytes) -> None:
        if moment is Moment.AFTER:
            self._ask(headers, body)
        if moment is Moment.HALF:
            self._send_half(headers, body)
        else:
            self.server.hang()
        self._hang_up()

    def _send_half(self, headers: dict[str, str], body: bytes) -> None:
        connection = http.client.HTTPConnection(*self.server.target, timeout=10)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self._passed(headers).items():
                connection.putheader(name, value)
            connection.endheaders(body[: len(body) // 2])
            self.server.hang()
        finally:
            connection.close()

    def _passed(self, headers: dict[str, str]) -> dict[str, str]:
        dropped = self.server.dropped_headers | {"expect", "connection"}
        return {name: value for name, value in headers.items() if name.lower() not in dropped}

    def _ask_with_habit(self, headers: dict[str, str], body: bytes) -> Reply:
        if self.server.habit is None:
            return self._ask(headers, body)
        return self.server.habit(Exchange(self.command, self.path, headers, body, self._ask, self._held_etag))

    def _held_etag(self) -> str | None:
        """The etag of the object at the path of the request, without quotes; moto checks no signatures."""
        connection = http.client.HTTPConnection(*self.server.target, timeout=10)
        try:
            signature = {"Authorization": self.headers.get("Authorization", "")}
            connection.request("HEAD", self.path.partition("?")[0], headers=signature)
            response = connection.getresponse()
            response.read()
            return (response.getheader("ETag") or "").strip('"') if response.status == 200 else None
        finally:
            connection.close()

    def _ask(self, headers: dict[str, str], body: bytes) -> Reply:
        connection = http.client.HTTPConnection(*self.server.target, timeout=10)
        try:
            with self.server.one_at_a_time:
                connection.request(self.command, self.path, body, self._passed(headers))
                response = connection.getresponse()
                return response.status, response.reason, response.getheaders(), response.read()
        finally:
            connection.close()

    def _answer(self, status: int, reason: str, headers: list[tuple[str, str]], reply: bytes) -> None:
        self.send_response_only(status, reason)
        hop = {"connection", "transfer-encoding", "content-length"}
        for name, value in headers:
            if name.lower() not in hop:
                self.send_header(name, value)
        sizes = [value for name, value in headers if name.lower() == "content-length"]
        length = sizes[0] if self.command == "HEAD" and sizes else str(len(reply))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command == "GET" and self.server.take("cut_bodies"):
            self.wfile.write(reply[: len(reply) // 2])
            self._hang_up()
            return
        if self.command != "HEAD":
            self.wfile.write(reply)

    def _answer_error(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>made by the test</Message></Error>".encode()
        self._answer(status, code, [("Content-Type", "application/xml")], body)

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output clean."""
