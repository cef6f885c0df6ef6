"""Stores for the tests: a folder, and a bucket of moto's server behind a proxy that makes faults."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from preannotation_assets.lake import ObjectStore, StoreLocation, open_store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Refuse = Callable[[str, dict[str, str]], tuple[int, str] | None]
"""Takes method and headers; gives status and error code, or None to let the request pass."""


class Proxy(ThreadingHTTPServer):
    """Hands requests on to moto and spoils the next ones on demand.

    Puts pass one at a time: moto compares and writes in two steps, S3 in one.
    """

    daemon_threads = True

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.puts = threading.Lock()
        self.lost_replies = 0
        self.cut_bodies = 0
        self.lost_requests = 0
        self.errors_after_work = 0
        self.dropped_headers: frozenset[str] = frozenset()
        self.refuse: Refuse | None = None
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def take(self, name: str) -> bool:
        with self.puts:
            left: int = getattr(self, name)
            setattr(self, name, max(0, left - 1))
            return left > 0

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: connections break on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = dict(self.headers.items())
        self.server.requests.append(f"{self.command} {self.path}")
        refusal = self.server.refuse and self.server.refuse(self.command, headers)
        if refusal:
            self._answer_error(*refusal)
            return
        if self.command == "PUT" and self.server.take("lost_requests"):
            self._hang_up()
            return
        status, reason, reply_headers, reply = self._ask(headers, body)
        if self.command == "PUT" and self.server.take("lost_replies"):
            self._hang_up()
        elif self.command == "PUT" and self.server.take("errors_after_work"):
            self._answer_error(503, "SlowDown")
        else:
            self._answer(status, reason, reply_headers, reply)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass  # noqa: N815

    def _ask(self, headers: dict[str, str], body: bytes) -> tuple[int, str, list[tuple[str, str]], bytes]:
        dropped = self.server.dropped_headers | {"expect", "connection"}
        passed = {name: value for name, value in headers.items() if name.lower() not in dropped}
        connection = http.client.HTTPConnection(*self.server.target, timeout=10)
        try:
            with self.server.puts:
                connection.request(self.command, self.path, body, passed)
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


@pytest.fixture(scope="session")
def moto_address() -> Iterator[tuple[str, int]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield host, int(port)
    server.stop()


@pytest.fixture
def proxy(moto_address: tuple[str, int]) -> Iterator[Proxy]:
    server = Proxy(moto_address)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture(autouse=True)
def aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Dummy credentials, and nothing of the user's own configuration."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret-of-anybody")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-configuration"))


@pytest.fixture(scope="session")
def client(moto_address: tuple[str, int]) -> "S3Client":
    """Speaks to moto past the proxy and the code under test."""
    return boto3.session.Session("testing", "testing", region_name="us-east-1").client(
        "s3", endpoint_url=f"http://{moto_address[0]}:{moto_address[1]}"
    )


@pytest.fixture
def bucket(client: "S3Client") -> str:
    name = f"lake-{uuid4().hex}"
    client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def s3_location(proxy: Proxy, bucket: str) -> StoreLocation:
    return StoreLocation(f"s3://{bucket}/some/prefix", proxy.url)


@pytest.fixture
def s3_store(s3_location: StoreLocation) -> ObjectStore:
    return open_store(s3_location)


@pytest.fixture
def local_root(tmp_path: Path) -> Path:
    return tmp_path / "lake root"


@pytest.fixture
def local_store(local_root: Path) -> ObjectStore:
    return open_store(StoreLocation(str(local_root)))


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    found: ObjectStore = request.getfixturevalue(f"{request.param}_store")
    return found
