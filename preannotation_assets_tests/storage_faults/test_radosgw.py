"""What only a real second server shows: authentication, its view of etags, durability."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import botocore.auth
import pytest
from s3_servers.fault_proxy import FaultProxy, HangPoint, Moment
from s3_servers.fixtures import plain_client
from s3_servers.limits import PATIENT, QUICK
from s3_servers.rados_gateway import SECRET_KEY, GatewayError, RadosGateway, running_gateway

from preannotation_assets.errors import ConflictError, StorageError
from preannotation_assets.lake import ObjectStore, RequestLimits, StoreLocation, open_store


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"new content")
    return path


def one_line(store: ObjectStore) -> str:
    with pytest.raises(StorageError) as caught:
        store.check_writable()
    line = str(caught.value)
    assert "\n" not in line
    assert SECRET_KEY not in line
    return line


def test_a_wrong_secret_is_named_with_its_cure(
    radosgw_location: StoreLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret-that-nobody-has")
    line = one_line(open_store(radosgw_location))
    assert "is denied (SignatureDoesNotMatch)" in line
    assert "check AWS_SECRET_ACCESS_KEY" in line
    assert "another-secret" not in line


def test_an_unknown_access_key_is_named_with_its_cure(
    radosgw_location: StoreLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    line = one_line(open_store(radosgw_location))
    assert "is denied (InvalidAccessKeyId)" in line
    assert "check AWS_ACCESS_KEY_ID" in line


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_wrong_by_an_hour_is_named_with_its_cure(
    radosgw_location: StoreLocation, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    def skewed() -> datetime:
        return datetime.now(UTC) + timedelta(hours=hours)

    monkeypatch.setattr(botocore.auth, "get_current_datetime", skewed)
    line = one_line(open_store(radosgw_location))
    assert "is denied (RequestTimeTooSkewed)" in line
    assert "clock" in line


def test_a_bucket_of_nobody_is_named(radosgw_proxy: FaultProxy) -> None:
    line = one_line(open_store(StoreLocation("s3://no-such-bucket/x", radosgw_proxy.url), QUICK))
    assert "NoSuchBucket" in line


@pytest.mark.parametrize("limits", [QUICK, PATIENT], ids=["no retry", "boto3 retries"])
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("fault", ["lost_replies", "errors_after_work"])
def test_a_write_whose_reply_was_lost_counts_as_done(
    radosgw_location: StoreLocation,
    radosgw_proxy: FaultProxy,
    source: Path,
    limits: RequestLimits,
    exists: bool,
    fault: str,
) -> None:
    store = open_store(radosgw_location, limits)
    before = store.write("k", b"old") if exists else None
    # The first put of a replacement has the etag in quotes, which radosgw refuses; the second one works.
    radosgw_proxy.spared_puts = 1 if exists else 0
    setattr(radosgw_proxy, fault, 1)
    etag = store.upload_if("k", source, before)
    assert getattr(radosgw_proxy, fault) == 0
    stat = store.stat("k")
    assert stat is not None
    assert stat.etag == etag
    assert store.read("k") == b"new content"


def test_the_same_content_of_another_writer_is_still_a_conflict(
    radosgw_location: StoreLocation, radosgw_store: ObjectStore, radosgw_proxy: FaultProxy, source: Path
) -> None:
    radosgw_store.upload("k", source)
    radosgw_proxy.lost_replies = 1
    with pytest.raises(ConflictError):
        open_store(radosgw_location, QUICK).upload_if("k", source, None)


def test_a_body_that_breaks_off_half_way_leaves_the_old_object(
    radosgw_location: StoreLocation, radosgw_proxy: FaultProxy, tmp_path: Path
) -> None:
    store = open_store(radosgw_location, QUICK)
    before = store.write("k", b"old")
    source = tmp_path / "large"
    source.write_bytes(b"n" * 5_000_000)
    radosgw_proxy.hang_at(HangPoint("PUT", "/k", Moment.HALF))
    with ThreadPoolExecutor(1) as pool:
        upload = pool.submit(store.upload_if, "k", source, before)
        assert radosgw_proxy.hanging.wait(20)
        assert store.read("k") == b"old"
        radosgw_proxy.release()
        with pytest.raises(StorageError, match="cannot be reached"):
            upload.result(20)
    assert store.read("k") == b"old"
    assert [stat.key for stat in store.list("")] == ["k"]


def test_a_listing_goes_over_all_pages(
    radosgw_store: ObjectStore, radosgw_location: StoreLocation, radosgw_address: tuple[str, int]
) -> None:
    client = plain_client(radosgw_address)
    bucket, _, prefix = radosgw_location.root.removeprefix("s3://").partition("/")
    keys = [f"part-{number:05d}" for number in range(1_005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: client.put_object(Bucket=bucket, Key=f"{prefix}/p/{key}"), keys))
    assert [stat.key for stat in radosgw_store.list("p/")] == [f"p/{key}" for key in keys]


@pytest.fixture
def durable_gateway(tmp_path: Path) -> Iterator[RadosGateway]:
    try:
        with running_gateway(tmp_path, "bluestore") as gateway:
            yield gateway
    except GatewayError as error:
        pytest.skip(f"no radosgw: {error}")


def test_what_was_acknowledged_survives_the_death_of_the_whole_store(
    durable_gateway: RadosGateway, tmp_path: Path
) -> None:
    name = f"lake-{uuid4().hex}"
    plain_client(durable_gateway.address).create_bucket(Bucket=name)
    address = "http://{}:{}".format(*durable_gateway.address)
    store = open_store(StoreLocation(f"s3://{name}", address), PATIENT)
    written = {f"k{number}": bytes([number]) * 100_000 for number in range(10)}
    etags = {}
    for key, content in written.items():
        (tmp_path / key).write_bytes(content)
        etags[key] = store.upload_if(key, tmp_path / key, None)
    durable_gateway.kill()
    durable_gateway.start_again()
    assert {key: store.read(key) for key in written} == written
    assert {stat.key: stat.etag for key in written if (stat := store.stat(key))} == etags
    assert [entry.key for entry in store.list("")] == sorted(written)
