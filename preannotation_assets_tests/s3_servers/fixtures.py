"""The stores of the tests: a folder, a bucket of moto's server, and one of Ceph's radosgw.

Both servers stand behind a proxy that makes faults. A conftest.py imports all of them, or those it needs.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer
from werkzeug.serving import WSGIRequestHandler

from preannotation_assets.lake import ObjectStore, StoreLocation, open_store
from s3_servers.fault_proxy import FaultProxy
from s3_servers.rados_gateway import (
    ACCESS_KEY,
    SECRET_KEY,
    TEST_ENVIRONMENT,
    GatewayError,
    RadosGateway,
    running_gateway,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = [
    "aws_environment",
    "bucket",
    "client",
    "local_location",
    "local_root",
    "local_store",
    "location",
    "moto_address",
    "plain_client",
    "proxy",
    "radosgw",
    "radosgw_address",
    "radosgw_bucket",
    "radosgw_location",
    "radosgw_proxy",
    "radosgw_store",
    "s3_location",
    "s3_store",
    "store",
]

_KINDS = ["local", "s3", "radosgw"]


@pytest.fixture(autouse=True)
def aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Dummy credentials, and nothing of the user's own configuration."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in TEST_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-configuration"))


@pytest.fixture(scope="session")
def moto_address() -> Iterator[tuple[str, int]]:
    with pytest.MonkeyPatch.context() as patch:
        # Headers and body leave in two segments; the second would wait 40 ms for an acknowledgement.
        patch.setattr(WSGIRequestHandler, "disable_nagle_algorithm", True)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield host, int(port)
        server.stop()


@pytest.fixture(scope="session")
def radosgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RadosGateway]:
    """Ceph in memory; skips what needs it, and says why, where it cannot run."""
    try:
        with running_gateway(tmp_path_factory.mktemp("ceph"), "memstore") as gateway:
            yield gateway
    except GatewayError as error:
        pytest.skip(f"no radosgw: {error}")


@pytest.fixture(scope="session")
def radosgw_address(radosgw: RadosGateway) -> tuple[str, int]:
    return radosgw.address


def plain_client(address: tuple[str, int]) -> "S3Client":
    """Speaks to a server past the proxy and the code under test."""
    return boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1").client(
        "s3", endpoint_url=f"http://{address[0]}:{address[1]}"
    )


@pytest.fixture
def proxy(moto_address: tuple[str, int]) -> Iterator[FaultProxy]:
    with _serving(moto_address, threading.Lock()) as server:
        yield server


@pytest.fixture
def radosgw_proxy(radosgw_address: tuple[str, int]) -> Iterator[FaultProxy]:
    with _serving(radosgw_address, nullcontext()) as server:
        yield server


@contextmanager
def _serving(address: tuple[str, int], one_at_a_time: AbstractContextManager[object]) -> Iterator[FaultProxy]:
    server = FaultProxy(address, one_at_a_time)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release()
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.fixture(scope="session")
def client(moto_address: tuple[str, int]) -> "S3Client":
    return plain_client(moto_address)


@pytest.fixture
def bucket(client: "S3Client") -> str:
    return _create_bucket(client)


def _create_bucket(client: "S3Client") -> str:
    name = f"lake-{uuid4().hex}"
    client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def s3_location(proxy: FaultProxy, bucket: str) -> StoreLocation:
    return StoreLocation(f"s3://{bucket}/some/prefix", proxy.url)


@pytest.fixture(scope="session")
def radosgw_bucket(radosgw_address: tuple[str, int]) -> str:
    return _create_bucket(plain_client(radosgw_address))


@pytest.fixture
def radosgw_location(radosgw_proxy: FaultProxy, radosgw_bucket: str) -> StoreLocation:
    """A prefix of its own in the one bucket, which takes a second to create."""
    return StoreLocation(f"s3://{radosgw_bucket}/{uuid4().hex}/prefix", radosgw_proxy.url)


@pytest.fixture
def s3_store(s3_location: StoreLocation) -> ObjectStore:
    return open_store(s3_location)


@pytest.fixture
def radosgw_store(radosgw_location: StoreLocation) -> ObjectStore:
    return open_store(radosgw_location)


@pytest.fixture
def local_root(tmp_path: Path) -> Path:
    return tmp_path / "lake root"


@pytest.fixture
def local_store(local_location: StoreLocation) -> ObjectStore:
    return open_store(local_location)


@pytest.fixture
def local_location(local_root: Path) -> StoreLocation:
    return StoreLocation(str(local_root))


@pytest.fixture(params=_KINDS)
def location(request: pytest.FixtureRequest) -> StoreLocation:
    """Each of the three places in turn."""
    found: StoreLocation = request.getfixturevalue(f"{request.param}_location")
    return found


@pytest.fixture(params=_KINDS)
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """Each of the three stores in turn."""
    found: ObjectStore = request.getfixturevalue(f"{request.param}_store")
    return found
