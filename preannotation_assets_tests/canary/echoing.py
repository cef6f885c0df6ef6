"""Servers that repeat what they were sent: a proxy before a stand-in, a collector, an S3-compatible store."""

import gzip
import hashlib
import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

__all__ = [
    "FATAL_REPLIES",
    "REPLIES",
    "Change",
    "MakeReply",
    "Reply",
    "Spoil",
    "collector",
    "count_strings",
    "echoing_proxy",
    "echoing_store",
    "for_pages",
    "for_path",
    "for_string",
]

_LONGEST_HEADER = 8_000
_JSON = "application/json"
_SECRET_HEADERS = {"authorization", "cf-access-client-id", "cf-access-client-secret", "x-amz-security-token"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back."""

    status: int = 200
    body: bytes = b""
    content_type: str = _JSON
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


MakeReply = Callable[[str], Reply]
"""Takes what was sent, headers and body in one text, and repeats it."""


def _json(value: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode())


def _in_one_line(sent: str) -> str:
    """What a header or a status line can hold of a text."""
    return " ".join(sent.encode("ascii", "backslashreplace").decode().split())[:_LONGEST_HEADER]


def _events(value: object) -> Reply:
    return Reply(200, f"data: {json.dumps(value)}\n\ndata: [DONE]\n\n".encode(), "text/event-stream")


REPLIES: dict[str, MakeReply] = {
    "error of a server": lambda sent: _json({"error": sent}, 500),
    "error under 200": lambda sent: _json({"error": sent}),
    "error in a stream": lambda sent: _events({"error": {"message": sent, "code": sent}}),
    "keys": lambda sent: _json({sent: {sent: sent}}),
    "counts": lambda sent: _json(
        {
            "done": True,
            "done_reason": "stop",
            "message": {"content": "{}"},
            "eval_count": sent,
            "total_duration": {sent: 1},
            "logprobs": [{"token": sent, "logprob": sent}],
        }
    ),
    "lines": lambda sent: Reply(
        200, f"{json.dumps({'error': sent})}\n{sent}\n".encode(), "application/x-ndjson"
    ),
    "no JSON": lambda sent: Reply(200, sent.encode()),
    "unfinished JSON": lambda sent: Reply(200, json.dumps({"message": sent}).encode()[:-5]),
    "reason phrase": lambda sent: Reply(500, b"", reason=_in_one_line(sent)),
    "content type": lambda sent: Reply(502, b"{}", content_type=_in_one_line(sent)),
    "headers": lambda sent: Reply(
        503,
        b"{}",
        headers={
            "Retry-After": _in_one_line(sent),
            "Set-Cookie": f"a={_in_one_line(sent)}",
            "X-A": _in_one_line(sent),
        },
    ),
    "packed error": lambda sent: Reply(
        500, gzip.compress(json.dumps({"error": sent}).encode()), headers={"Content-Encoding": "gzip"}
    ),
    "broken header": lambda sent: Reply(200, b"{}", headers={f"X {_in_one_line(sent)}": "a"}),
}
"""Replies that repeat the request; a run goes on after each."""

FATAL_REPLIES: dict[str, MakeReply] = {
    "error of a request": lambda sent: _json({"error": sent}, 400),
    "error object": lambda sent: _json({"error": {"message": sent, "type": sent, "code": sent}}, 422),
    "error without envelope": lambda sent: _json({"object": "error", "message": sent}, 400),
    "model and reason": lambda sent: _json(
        {"model": sent, "done": True, "done_reason": sent, "message": {"content": "{}", "role": sent}}
    ),
    "choices": lambda sent: _json(
        {
            "model": sent,
            "system_fingerprint": sent,
            "choices": [{"finish_reason": sent, "message": {"content": "{}"}}],
        }
    ),
    "encoding": lambda sent: Reply(200, sent.encode(), headers={"Content-Encoding": "gzip"}),
    "page of a proxy": lambda sent: Reply(200, f"<html>{sent}</html>".encode(), "text/html"),
    "forbidden": lambda sent: _json({"error": sent}, 403),
    "forbidden page": lambda sent: Reply(403, f"<html>{sent}</html>".encode(), "text/html"),
    "unauthorized": lambda sent: _json({"error": {"message": sent}}, 401),
    "not found": lambda sent: _json({"error": sent}, 404),
    "redirect": lambda sent: Reply(
        302, b"", headers={"Location": f"http://127.0.0.1:9/{_in_one_line(sent)}"}
    ),
    "schema refused": lambda sent: _json({"error": f"response_format schema grammar {sent}"}, 400),
}
"""Replies that repeat the request and may end a run."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients leave, and are sent what no client reads: nothing to tell."""


class _Handler(BaseHTTPRequestHandler):
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
        if not (body and self.headers.get("Content-Type", "").startswith(_JSON)):
            return " ".join([*secret, body, str(self.headers)])
        asked = json.loads(body)
        said = [str(message.get("content")) for message in asked.get("messages", [])]
        page = said[-1].removeprefix("<page>").strip() if said else ""
        return " ".join([page, *secret, json.dumps(asked, ensure_ascii=False), str(self.headers)]).strip()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def _running(handler: type[_Handler]) -> Iterator[str]:
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(10)


Change = Callable[[Reply], Reply]
Spoil = Callable[[str, str, bool], Reply | Change | None]
"""Takes the path of a request, what was sent, and whether it asks about a page.

Gives a reply, or what to make of the reply that the server behind gives; None hands that on.
"""


def for_pages(replies: Sequence[MakeReply], *, every: int = 1) -> Spoil:
    """Every so many requests about a page get the next of the replies, in a ring."""
    counting = threading.Lock()
    asked = 0

    def spoil(path: str, sent: str, is_about_a_page: bool) -> Reply | Change | None:
        nonlocal asked
        if not is_about_a_page:
            return None
        with counting:
            number, asked = asked, asked + 1
        return None if number % every else replies[number // every % len(replies)](sent)

    return spoil


def for_path(wanted: str, reply: MakeReply) -> Spoil:
    """Every request for a path gets the reply."""
    return lambda path, sent, is_about_a_page: reply(sent) if path == wanted else None


def for_string(wanted: str, number: int) -> Spoil:
    """Every good reply from a path has what was sent in the place of its string of that number, from 0."""

    def spoil(path: str, sent: str, is_about_a_page: bool) -> Reply | Change | None:
        if path != wanted:
            return None

        def change(good: Reply) -> Reply:
            if good.status != 200 or good.content_type.partition(";")[0] != _JSON:
                return good
            return replace(good, body=json.dumps(with_echo_in(json.loads(good.body), number, sent)).encode())

        return change

    return spoil


def with_echo_in(document: object, number: int, sent: str) -> object:
    """A JSON value in which the string of that number, from 0, is what was sent."""
    left = number

    def walk(value: object) -> object:
        nonlocal left
        if isinstance(value, dict):
            return {key: walk(each) for key, each in value.items()}
        if isinstance(value, list):
            return [walk(each) for each in value]
        if isinstance(value, str):
            left -= 1
            return sent if left == -1 else value
        return value

    return walk(document)


def count_strings(document: object) -> int:
    """How many strings a JSON value has, keys aside."""
    if isinstance(document, dict | list):
        return sum(map(count_strings, document.values() if isinstance(document, dict) else document))
    return isinstance(document, str)


@contextmanager
def echoing_proxy(target: str, spoil: Spoil) -> Iterator[str]:
    """Hands on to ``target`` what ``spoil`` has no reply for."""

    class Proxy(_Handler):
        def take(self) -> Reply:
            is_about_a_page = b"<page" in self.body.split(b'"role"')[-1]
            made = spoil(self.path, self.sent(), is_about_a_page)
            if isinstance(made, Reply):
                return made
            good = self._handed_on()
            return made(good) if made else good

        def _handed_on(self) -> Reply:
            address = urlsplit(target)
            connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
            passed = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            try:
                connection.request(self.command, self.path, self.body or None, passed)
                response = connection.getresponse()
                return Reply(response.status, response.read(), response.headers.get("Content-Type", _JSON))
            finally:
                connection.close()

    with _running(Proxy) as url:
        yield url


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Takes OpenTelemetry's metrics: the address, and the bodies so far."""
    bodies: list[bytes] = []

    class Collector(_Handler):
        def take(self) -> Reply:
            bodies.append(self.body)
            return Reply(200, b"", "application/x-protobuf")

    with _running(Collector) as url:
        yield url, bodies


@contextmanager
def echoing_store(refused: str) -> Iterator[str]:
    """An S3-compatible store that refuses to write keys with ``refused`` in them, repeating the request."""
    objects: dict[str, tuple[bytes, dict[str, str]]] = {}
    # Conditions are compared and kept in one step, as on S3.
    one_at_a_time = threading.Lock()

    class Store(_Handler):
        def take(self) -> Reply:
            with one_at_a_time:
                return self._answered()

        def _answered(self) -> Reply:
            key = unquote(urlsplit(self.path).path).removeprefix("/bucket").strip("/")
            if self.command == "PUT":
                return self._put(key)
            if self.command == "DELETE":
                objects.pop(key, None)
                return Reply(204)
            if self.command == "POST":
                return Reply(200, b"<DeleteResult/>", "application/xml")
            return self._get(key) if key else self._list()

        def _put(self, key: str) -> Reply:
            if refused in key:
                said = escape("".join(character for character in self.sent() if character.isprintable()))
                return self._error(403, said)
            held = objects.get(key)
            wanted = self.headers.get("If-Match")
            if (self.headers.get("If-None-Match") and held) or (
                wanted and (not held or self._etag(held[0]) != wanted)
            ):
                return self._error(412, "PreconditionFailed")
            metadata = {
                name: value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta-")
            }
            objects[key] = (self._content(), metadata)
            return Reply(200, headers={"ETag": self._etag(objects[key][0])})

        def _content(self) -> bytes:
            """What was put; boto3 sends it in chunks with a checksum behind the last."""
            if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
                return self.body
            content, rest = b"", self.body
            while (size := int(rest.partition(b"\r\n")[0].partition(b";")[0], 16)) > 0:
                rest = rest.partition(b"\r\n")[2]
                content, rest = content + rest[:size], rest[size + 2 :]
            return content

        def _get(self, key: str) -> Reply:
            if key not in objects:
                return self._error(404, "NoSuchKey")
            content, metadata = objects[key]
            headers = {
                **metadata,
                "ETag": self._etag(content),
                "Last-Modified": "Mon, 02 Jan 2023 00:00:00 GMT",
            }
            wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
            if not wanted:
                return Reply(200, content, "binary/octet-stream", headers=headers)
            first = int(wanted[1]) if wanted[1] else max(0, len(content) - int(wanted[2]))
            last = min(int(wanted[2]), len(content) - 1) if wanted[1] and wanted[2] else len(content) - 1
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            return Reply(206, content[first : last + 1], "binary/octet-stream", headers=headers)

        def _list(self) -> Reply:
            prefix = parse_qs(urlsplit(self.path).query).get("prefix", [""])[0]
            listed = "".join(
                f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size><ETag>{self._etag(content)}</ETag>"
                "<LastModified>2023-01-02T00:00:00Z</LastModified></Contents>"
                for key, (content, _) in sorted(objects.items())
                if key.startswith(prefix)
            )
            body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"
            return Reply(200, body.encode(), "application/xml")

        def _etag(self, content: bytes) -> str:
            return f'"{hashlib.sha256(content).hexdigest()[:32]}"'

        def _error(self, status: int, said: str) -> Reply:
            body = f"<Error><Code>{said}</Code><Message>{said}</Message></Error>".encode()
            return Reply(status, body, "application/xml", reason=_in_one_line(said))

    with _running(Store) as url:
        yield url
