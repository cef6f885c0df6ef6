"""Servers that repeat what they were sent: a proxy before a stand-in, and a collector."""

import gzip
import http.client
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from canary.echo_server import JSON, EchoHandler, Reply, in_one_line, running

__all__ = [
    "FATAL_REPLIES",
    "REPLIES",
    "Change",
    "MakeReply",
    "Spoil",
    "collector",
    "count_strings",
    "echoing_proxy",
    "for_pages",
    "for_path",
    "for_string",
]

MakeReply = Callable[[str], Reply]
"""Takes what was sent, headers and body in one text, and repeats it."""


def _json(value: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode())


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
    "reason phrase": lambda sent: Reply(500, b"", reason=in_one_line(sent)),
    "content type": lambda sent: Reply(502, b"{}", content_type=in_one_line(sent)),
    "headers": lambda sent: Reply(
        503,
        b"{}",
        headers={
            "Retry-After": in_one_line(sent),
            "Set-Cookie": f"a={in_one_line(sent)}",
            "X-A": in_one_line(sent),
        },
    ),
    "packed error": lambda sent: Reply(
        500, gzip.compress(json.dumps({"error": sent}).encode()), headers={"Content-Encoding": "gzip"}
    ),
    "broken header": lambda sent: Reply(200, b"{}", headers={f"X {in_one_line(sent)}": "a"}),
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
    "redirect": lambda sent: Reply(302, b"", headers={"Location": f"http://127.0.0.1:9/{in_one_line(sent)}"}),
    "schema refused": lambda sent: _json({"error": f"response_format schema grammar {sent}"}, 400),
}
"""Replies that repeat the request and may end a run."""


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
            if good.status != 200 or good.content_type.partition(";")[0] != JSON:
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

    class Proxy(EchoHandler):
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
                return Reply(response.status, response.read(), response.headers.get("Content-Type", JSON))
            finally:
                connection.close()

    with running(Proxy) as url:
        yield url


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Takes OpenTelemetry's metrics: the address, and the bodies so far."""
    bodies: list[bytes] = []

    class Collector(EchoHandler):
        def take(self) -> Reply:
            bodies.append(self.body)
            return Reply(200, b"", "application/x-protobuf")

    with running(Collector) as url:
        yield url, bodies
