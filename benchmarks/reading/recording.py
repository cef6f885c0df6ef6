"""An S3 server in this process that writes down every GET of an object's content, whoever makes it."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

__all__ = ["BUCKET", "CREDENTIALS", "Fetch", "RecordedServer", "recorded_s3"]

BUCKET: Final = "lake"
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_DEFAULT_REGION": "us-east-1",
}
_CONTENT: Final = ("200", "206")


@dataclass(frozen=True, slots=True)
class Fetch:
    """A GET that gave content: ``at`` is seconds since the epoch."""

    at: float
    key: str
    bytes: int


@dataclass(slots=True)
class RecordedServer:
    """The server's address, and what was fetched from it so far."""

    url: str = ""
    fetches: list[Fetch] = field(default_factory=list)


class _QuietHandler(WSGIRequestHandler):
    """Serves without a line a request; headers and body leave at once."""

    disable_nagle_algorithm = True

    def log_request(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def recorded_s3() -> Iterator[RecordedServer]:
    """Moto with an empty bucket, for the time of the block."""
    recorded = RecordedServer()
    application = _recording(DomainDispatcherApplication(create_backend_app), recorded.fetches)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_QuietHandler)
    recorded.url = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        session = boto3.session.Session("benchmark", "benchmark", region_name="us-east-1")
        session.client("s3", endpoint_url=recorded.url).create_bucket(Bucket=BUCKET)
        yield recorded
    finally:
        server.shutdown()
        thread.join()


def _recording(application: Callable[..., Iterable[bytes]], fetches: list[Fetch]) -> Callable[..., Any]:
    def serve(environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        key = environment["PATH_INFO"].partition(f"/{BUCKET}/")[2]
        asks_for_content = environment["REQUEST_METHOD"] == "GET" and bool(key)

        def start(status: str, headers: list[tuple[str, str]], *more: object) -> object:
            if asks_for_content and status.startswith(_CONTENT):
                size = next(int(value) for name, value in headers if name.lower() == "content-length")
                fetches.append(Fetch(time.time(), key, size))
            return start_response(status, headers, *more)

        return application(environment, start)

    return serve
