"""An open object reads like a file, gives one content only, and what is fetched is counted."""

import io
import random
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from s3_servers.fault_proxy import FaultProxy

from preannotation_assets.errors import ConflictError, ObjectNotFoundError, StorageError
from preannotation_assets.lake import FetchedBytes, ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KIB = 1024
# Larger than what is fetched whole, and no two ranges of it are the same.
LARGE = random.Random(5).randbytes(300 * KIB)
SIZES = [0, 1, 64 * KIB, 64 * KIB + 1, 256 * KIB, 300 * KIB]

_PLACES = st.integers(-310 * KIB, 310 * KIB)
_COUNTS = st.none() | st.integers(-1, 100) | st.integers(0, 310 * KIB)
_STEPS = st.one_of(
    st.tuples(st.just("seek"), _PLACES, st.integers(0, 3)),
    st.tuples(st.just("read"), _COUNTS),
    st.tuples(st.just("readinto"), st.integers(0, 40 * KIB)),
    st.tuples(st.just("tell")),
)


def _do(file: io.BytesIO | io.BufferedIOBase, step: tuple[object, ...]) -> object:
    name, *arguments = step
    if name == "readinto":
        buffer = bytearray(arguments[0])  # type: ignore[call-overload]
        return file.readinto(buffer), bytes(buffer)
    try:
        return getattr(file, str(name))(*arguments)
    except ValueError:
        return ValueError


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(_STEPS, max_size=12), size=st.sampled_from(SIZES))
def test_it_reads_like_a_file_in_memory(
    store: ObjectStore, steps: list[tuple[object, ...]], size: int
) -> None:
    store.write("k", LARGE[:size])
    with store.open("k") as file:
        oracle = io.BytesIO(LARGE[:size])
        assert file.size == size
        for step in steps:
            assert _do(file, step) == _do(oracle, step), step
            assert file.tell() == oracle.tell()


def test_a_closed_reader_is_closed(store: ObjectStore) -> None:
    store.write("k", b"content")
    file = store.open("k")
    assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
    assert file.readlines() == [b"content"]
    file.close()
    file.close()
    for use in (file.read, file.tell, lambda: file.seek(0)):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_what_is_not_there_cannot_be_opened(store: ObjectStore) -> None:
    store.write("folder/object", b"x")
    for key in ("nothing", "folder", "folder/object/below"):
        with pytest.raises(ObjectNotFoundError) as caught:
            store.open(key)
        assert store.uri(key) in str(caught.value)
    with pytest.raises(StorageError, match="not valid"):
        store.open("../x")


def test_a_file_that_is_open_stays_what_it_is(local_store: ObjectStore) -> None:
    local_store.write("k", LARGE)
    with local_store.open("k") as file:
        local_store.write("k", b"another")
        assert file.read(10) == LARGE[:10]
        local_store.delete(["k"])
        assert file.read() == LARGE[10:]


def test_a_file_that_is_cut_meanwhile_is_an_error(local_store: ObjectStore) -> None:
    local_store.write("k", LARGE)
    with local_store.open("k") as file:
        with open(local_store.uri("k"), "r+b") as other:  # noqa: PTH123
            other.truncate(100)
        with pytest.raises(StorageError, match="became shorter"):
            file.read()


@pytest.mark.parametrize("dropped", [frozenset(), frozenset({"if-match"})], ids=["heeds", "ignores If-Match"])
@pytest.mark.parametrize("size", [100 * KIB, 300 * KIB])
def test_an_object_replaced_between_two_requests_is_a_conflict(
    s3_store: ObjectStore, proxy: FaultProxy, size: int, dropped: frozenset[str]
) -> None:
    s3_store.write("k", LARGE[:size])
    proxy.dropped_headers = dropped
    with s3_store.open("k") as file:
        s3_store.write("k", LARGE[:size][::-1])
        with pytest.raises(ConflictError, match="replaced while it was read"):
            file.read()
        file.seek(-10, io.SEEK_END)
        assert file.read() == LARGE[size - 10 : size]


def test_an_object_deleted_between_two_requests_is_not_found(s3_store: ObjectStore) -> None:
    s3_store.write("k", LARGE)
    with s3_store.open("k") as file:
        s3_store.delete(["k"])
        with pytest.raises(ObjectNotFoundError):
            file.read()


def test_bodies_that_break_off_are_asked_for_again(s3_store: ObjectStore, proxy: FaultProxy) -> None:
    s3_store.write("k", LARGE)
    proxy.cut_bodies = 1
    with s3_store.open("k") as file:
        proxy.cut_bodies = 1
        assert file.read() == LARGE
    assert proxy.cut_bodies == 0
    assert s3_store.fetched.requests == 4
    # The broken halves have arrived too, as far as they were taken from the socket.
    assert len(LARGE) <= s3_store.fetched.bytes <= 1.5 * len(LARGE)


def test_bodies_that_always_break_off_are_an_error(
    s3_store: ObjectStore, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preannotation_assets.lake.s3_bodies._BODY_PAUSES", (0.0,))
    s3_store.write("k", LARGE)
    with s3_store.open("k") as file:
        proxy.cut_bodies = 100
        with pytest.raises(StorageError, match="IncompleteReadError"):
            file.read()
        with pytest.raises(StorageError, match="IncompleteReadError"):
            s3_store.open("k")


def test_a_server_that_ignores_ranges_gives_all_or_is_refused(
    s3_store: ObjectStore, proxy: FaultProxy
) -> None:
    s3_store.write("k", LARGE)
    with s3_store.open("k") as file:
        proxy.dropped_headers = frozenset({"range"})
        with pytest.raises(StorageError, match="other bytes than it is asked for"):
            file.read(10)
    with s3_store.open("k") as file:
        assert file.read() == LARGE


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId"])
def test_denied_access_is_named(s3_store: ObjectStore, proxy: FaultProxy, code: str) -> None:
    s3_store.write("k", LARGE)
    with s3_store.open("k") as file:
        proxy.refuse = lambda _command, _headers: (403, code)
        with pytest.raises(StorageError, match=rf"is denied \({code}\)"):
            file.read()
        with pytest.raises(StorageError, match=rf"is denied \({code}\)"):
            s3_store.open("k")


def test_a_damaged_object_that_is_fetched_whole_is_not_handed_out(
    s3_store: ObjectStore, client: "S3Client", bucket: str
) -> None:
    for size in (100, 100 * KIB):
        body = LARGE[:size]
        client.put_object(Bucket=bucket, Key="some/prefix/k", Body=body, Metadata={"sha256": "0" * 64})
        with pytest.raises(StorageError, match="damaged"):
            s3_store.open("k").read()


@pytest.mark.parametrize(
    ("size", "requests"),
    [(1, 1), (64 * KIB, 1), (64 * KIB + 1, 2), (256 * KIB, 2), (300 * KIB, 2)],
)
def test_few_requests_fetch_a_whole_object_once(
    s3_store: ObjectStore, proxy: FaultProxy, size: int, requests: int
) -> None:
    s3_store.write("k", LARGE[:size])
    proxy.requests.clear()
    with s3_store.open("k") as file:
        assert file.read() == LARGE[:size]
    assert len(proxy.requests) == requests
    assert s3_store.fetched == FetchedBytes(size, requests)


def test_scattered_readings_of_a_small_object_make_two_requests(s3_store: ObjectStore) -> None:
    s3_store.write("k", LARGE[: 256 * KIB])
    with s3_store.open("k") as file:
        for start in range(250 * KIB, 0, -10 * KIB):
            file.seek(start)
            assert file.read(5) == LARGE[start : start + 5]
    assert s3_store.fetched == FetchedBytes(256 * KIB, 2)


def test_small_readings_in_a_row_share_requests_and_fetch_nothing_twice(store: ObjectStore) -> None:
    store.write("k", LARGE)
    with store.open("k") as file:
        assert b"".join(iter(lambda: file.read(1000), b"")) == LARGE
    assert store.fetched.bytes == len(LARGE)
    assert store.fetched.requests <= 25


def test_ranges_that_will_be_read_are_fetched_together_where_they_are_close(s3_store: ObjectStore) -> None:
    s3_store.write("k", LARGE)
    ranges = [(200 * KIB, 201 * KIB), (9 * KIB, 10 * KIB), (0, 2 * KIB), (-5, 3), (7, 7), (0, 1 << 40)]
    with s3_store.open("k") as file:
        before = s3_store.fetched.requests
        file.prepare(ranges)
        assert s3_store.fetched.requests == before + 2
        for start, stop in ranges[:3]:
            file.seek(start)
            assert file.read(stop - start) == LARGE[start:stop]
        assert s3_store.fetched.requests == before + 2
        file.seek(0)
        assert file.read() == LARGE


def test_what_is_fetched_is_counted(store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert store.fetched == FetchedBytes(0, 0)
    store.write("k", LARGE)
    store.stat("k")
    assert store.fetched == FetchedBytes(0, 0)
    store.read("k")
    first = store.fetched
    store.download("k", tmp_path_factory.mktemp("target") / "k")
    assert first == store.fetched - first == FetchedBytes(len(LARGE), 1)
    store.read_into("k", io.BytesIO())
    assert first + first + first == store.fetched


def test_threads_lose_no_count(local_store: ObjectStore) -> None:
    local_store.write("k", b"12345")
    threads = [threading.Thread(target=lambda: [local_store.read("k") for _ in range(200)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert local_store.fetched == FetchedBytes(8000, 1600)
