"""A server whose replies repeat the request."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["JSON", "EchoHandler", "Reply", "in_one_line", "running"]

JSON = "application/json"
_LONGEST_HEADER = 8_000
_SECRET_HEADERS = {"authorization", "cf-access-client-id", "cf-access-client-secret", "x-amz-security-token"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def in_one_line(sent: str) -> str:
    """What a header or a status line can hold of a text."""
    return " ".join(sent.encode("ascii", "backslashreplace").decode().split())[:_LONGEST_HEADER]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients leave, and are sent what no client reads: nothing to tell."""


class EchoHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    body: bytes = b""

    def take(self) -> Reply:
        raise NotImplementedError

    def _serve(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reply = self.take()
        self.send_response_only(reply.status, reply.reason or None)
        headers = {
            "Content-Type": reply.content_type,
            "Content-Length": str(len(reply.body)),
            **reply.headers,
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _serve  # noqa: N815

    def sent(self) -> str:
        """The request as one text. What is secret comes first: who cuts a text off keeps its beginning."""
        body = self.body.decode("utf-8", "replace")
        secret = [value for name, value in self.headers.items() if name.lower() in _SECRET_HEADERS]
        if not (body and self.headers.get("Content-Type", "").startswith(JSON)):
            return " ".join([*secret, body, str(self.headers)])
        asked = json.loads(body)
        said = [str(message.get("content")) for message in asked.get("messages", [])]
        page = said[-1].removeprefix("<page>").strip() if said else ""
        return " ".join([page, *secret, json.dumps(asked, ensure_ascii=False), str(self.headers)]).strip()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def running(handler: type[EchoHandler]) -> Iterator[str]:
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(10)
