"""What only a server can do wrong: lost replies, broken bodies, refused or ignored conditions."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from s3_servers.exchanges import Habit
from s3_servers.limits import PATIENT, QUICK

from preannotation_assets.errors import ConflictError, ObjectNotFoundError, StorageError
from preannotation_assets.lake import ObjectStore, RequestLimits, StoreLocation, open_store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Proxy(Protocol):
    """The faults of the proxy in conftest.py: the counters say how many of the next requests suffer."""

    lost_replies: int
    lost_requests: int
    errors_after_work: int
    cut_bodies: int
    dropped_headers: frozenset[str]
    refuse: Callable[[str, dict[str, str]], tuple[int, str] | None] | None
    habit: Habit | None
    requests: list[str]

    @property
    def url(self) -> str: ...
    def shutdown(self) -> None: ...
    def server_close(self) -> None: ...


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"new content")
    return path


@pytest.mark.parametrize("limits", [QUICK, PATIENT], ids=["no retry", "boto3 retries"])
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("fault", ["lost_replies", "errors_after_work"])
def test_a_write_whose_reply_was_lost_counts_as_done(
    s3_location: StoreLocation, proxy: Proxy, source: Path, limits: RequestLimits, exists: bool, fault: str
) -> None:
    store = open_store(s3_location, limits)
    before = store.write("k", b"old") if exists else None
    setattr(proxy, fault, 1)
    etag = store.upload_if("k", source, before)
    assert getattr(proxy, fault) == 0
    stat = store.stat("k")
    assert stat is not None
    assert stat.etag == etag
    assert store.read("k") == b"new content"


@pytest.mark.parametrize("fault", ["lost_replies", "errors_after_work"])
def test_a_lost_reply_to_the_same_content_of_another_writer_is_a_conflict(
    s3_location: StoreLocation, s3_store: ObjectStore, proxy: Proxy, source: Path, fault: str
) -> None:
    s3_store.upload("k", source)
    setattr(proxy, fault, 1)
    with pytest.raises(ConflictError):
        open_store(s3_location, QUICK).upload_if("k", source, None)


def test_a_request_that_never_arrived_is_no_success(
    s3_location: StoreLocation, proxy: Proxy, source: Path
) -> None:
    store = open_store(s3_location, QUICK)
    before = store.write("k", b"old")
    proxy.lost_requests = 1
    with pytest.raises(StorageError, match="cannot be reached") as caught:
        store.upload_if("k", source, before)
    assert not isinstance(caught.value, ConflictError)
    assert store.read("k") == b"old"
    proxy.lost_requests = 1
    assert open_store(s3_location, PATIENT).upload_if("k", source, before) != before
    assert store.read("k") == b"new content"


def test_an_unconditional_write_survives_a_lost_reply(s3_location: StoreLocation, proxy: Proxy) -> None:
    proxy.lost_replies = 1
    proxy.errors_after_work = 1
    store = open_store(s3_location, PATIENT)
    store.write("k", b"content")
    assert store.read("k") == b"content"


def test_a_body_that_breaks_off_is_read_again(s3_store: ObjectStore, proxy: Proxy, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    s3_store.write("k", content)
    proxy.cut_bodies = 1
    assert s3_store.read("k") == content
    proxy.cut_bodies = 1
    s3_store.download("k", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == content
    assert proxy.cut_bodies == 0


def test_a_body_that_always_breaks_off_is_an_error_and_leaves_no_file(
    s3_store: ObjectStore, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preannotation_assets.lake.s3_bodies._BODY_PAUSES", (0.0,))
    s3_store.write("k", b"content" * 1000)
    proxy.cut_bodies = 100
    target = tmp_path / "folder" / "target"
    with pytest.raises(StorageError, match="IncompleteReadError"):
        s3_store.download("k", target)
    assert list(target.parent.iterdir()) == []


def test_a_damaged_object_is_not_handed_out(
    s3_store: ObjectStore, client: "S3Client", bucket: str, tmp_path: Path
) -> None:
    client.put_object(Bucket=bucket, Key="some/prefix/k", Body=b"damaged", Metadata={"sha256": "0" * 64})
    with pytest.raises(StorageError, match="damaged"):
        s3_store.read("k")
    with pytest.raises(StorageError, match="damaged"):
        s3_store.download("k", tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_objects_of_others_are_readable_and_odd_names_are_passed_over(
    s3_store: ObjectStore, client: "S3Client", bucket: str
) -> None:
    for name in ("some/prefix/k", "some/prefix/folder/", "some/prefix/a//b", "some/prefixed", "other"):
        client.put_object(Bucket=bucket, Key=name, Body=b"x")
    assert [stat.key for stat in s3_store.list("")] == ["k"]
    assert s3_store.read("k") == b"x"


def test_writes_are_single_puts_with_metadata_without_underscores(
    s3_store: ObjectStore, client: "S3Client", bucket: str, proxy: Proxy, source: Path
) -> None:
    s3_store.upload("a/k", source)
    assert proxy.requests == [f"PUT /{bucket}/some/prefix/a/k"]
    metadata = client.head_object(Bucket=bucket, Key="some/prefix/a/k")["Metadata"]
    assert set(metadata) == {"sha256", "write-id"}


def refuse_quoted(command: str, headers: dict[str, str]) -> tuple[int, str] | None:
    quoted = headers.get("If-Match", "").startswith('"')
    return (412, "PreconditionFailed") if command == "PUT" and quoted else None


def test_a_store_that_wants_bare_etags_is_given_them(
    s3_store: ObjectStore, proxy: Proxy, source: Path
) -> None:
    proxy.refuse = refuse_quoted
    before = s3_store.write("k", b"old")
    with pytest.raises(ConflictError):
        s3_store.upload_if("k", source, "0" * 32)
    assert s3_store.read("k") == b"old"
    s3_store.upload_if("k", source, before)
    assert s3_store.read("k") == b"new content"
    s3_store.check_conditional_writes()


def test_a_concurrent_conditional_request_is_tried_again(
    s3_store: ObjectStore, proxy: Proxy, source: Path
) -> None:
    answers = [(409, "ConditionalRequestConflict")]
    proxy.refuse = lambda command, _headers: answers.pop() if command == "PUT" and answers else None
    s3_store.upload_if("k", source, None)
    assert s3_store.read("k") == b"new content"


def test_a_store_that_always_refuses_is_reported(s3_store: ObjectStore, proxy: Proxy, source: Path) -> None:
    proxy.refuse = lambda command, _headers: (412, "PreconditionFailed") if command == "PUT" else None
    with pytest.raises(ConflictError, match="unchanged"):
        s3_store.upload_if("k", source, None)


def one_line(store: ObjectStore) -> str:
    with pytest.raises(StorageError) as caught:
        store.check_writable()
    line = str(caught.value)
    assert "\n" not in line
    assert "not-a-secret-of-anybody" not in line
    return line


def test_a_missing_bucket_is_named(proxy: Proxy) -> None:
    line = one_line(open_store(StoreLocation("s3://no-such-bucket/x", proxy.url), QUICK))
    assert line.startswith("the storage root s3://no-such-bucket/x cannot be used: the bucket of")
    assert "NoSuchBucket" in line


def test_a_missing_bucket_is_no_missing_object(proxy: Proxy, source: Path) -> None:
    store = open_store(StoreLocation("s3://no-such-bucket/x", proxy.url), QUICK)
    with pytest.raises(StorageError, match="NoSuchBucket") as caught:
        store.read("k")
    assert not isinstance(caught.value, ObjectNotFoundError)
    with pytest.raises(StorageError, match="NoSuchBucket") as caught:
        store.upload_if("k", source, None)
    assert not isinstance(caught.value, ConflictError)
    with pytest.raises(StorageError, match="NoSuchBucket"):
        list(store.list(""))
    with pytest.raises(StorageError, match="NoSuchBucket"):
        store.delete(["k"])


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_denied_access_is_named(s3_store: ObjectStore, proxy: Proxy, source: Path, code: str) -> None:
    proxy.refuse = lambda _command, _headers: (403, code)
    line = one_line(s3_store)
    assert f"is denied ({code})" in line
    assert "s3://lake-" in line
    with pytest.raises(StorageError, match="is denied"):
        s3_store.upload_if("k", source, None)
    with pytest.raises(StorageError, match="is denied"):
        s3_store.stat("k")


def test_missing_credentials_are_named(s3_location: StoreLocation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "there are no usable credentials for s3://" in one_line(open_store(s3_location))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StorageError, match="no usable credentials"):
        open_store(s3_location)


def test_a_dead_server_is_named(proxy: Proxy, bucket: str) -> None:
    proxy.shutdown()
    proxy.server_close()
    store = open_store(StoreLocation(f"s3://{bucket}/x", proxy.url), QUICK)
    assert f"the storage root s3://{bucket}/x cannot be used: the store of" in one_line(store)
    with pytest.raises(StorageError, match="EndpointConnectionError"):
        store.stat("k")


def test_the_endpoint_of_the_environment_is_used(
    proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    open_store(StoreLocation(f"s3://{bucket}")).write("k", b"x")
    assert proxy.requests == [f"PUT /{bucket}/k"]


@pytest.mark.parametrize(
    "reply",
    [
        b"<html><body>Please log in</body></html>",
        b"<ListBucketResult><IsTruncated>true</IsTruncated><Contents/></ListBucketResult>",
        b"<ListBucketResult/>",
    ],
    ids=["login page", "a page without the next", "empty"],
)
def test_what_is_no_whole_listing_is_not_taken_for_one(
    s3_store: ObjectStore, proxy: Proxy, reply: bytes
) -> None:
    s3_store.write("answers/1", b"paid for")
    proxy.habit = lambda _exchange: (200, "OK", [("Content-Type", "text/xml")], reply)

    with pytest.raises(StorageError, match="a reply that no S3 server gives"):
        list(s3_store.list("answers/"))
