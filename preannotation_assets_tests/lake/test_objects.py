"""What both stores promise, asked of both."""

import errno
import hashlib
import io
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preannotation_assets.errors import ConflictError, ObjectNotFoundError, SettingsError, StorageError
from preannotation_assets.lake import ObjectEntry, ObjectStore, StoreLocation, open_store, parse_root
from preannotation_assets.lake.objects import LocalRoot, S3Root, is_key
from preannotation_assets.temporary_folders import temporary_folder

segments = st.text(
    st.characters(codec="utf-8", exclude_characters="/\x7f", min_codepoint=32), min_size=1, max_size=60
)
valid_keys = st.lists(segments, min_size=1, max_size=4).map("/".join).filter(is_key)


@given(key=valid_keys, content=st.binary(max_size=2000))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_key_and_content_come_back(store: ObjectStore, key: str, content: bytes) -> None:
    etag = store.write(key, content)
    assert store.read(key) == content
    stat = store.stat(key)
    assert stat is not None
    assert (stat.key, stat.size, stat.etag) == (key, len(content), etag)
    entry = ObjectEntry(stat.key, stat.size, stat.modified_at)
    assert list(store.list("")) == [entry]
    if is_key(key[:1]):
        assert list(store.list(key[:1])) == [entry]
    store.delete([key])
    assert list(store.list("")) == []


INVALID_KEYS = [
    "",
    "/",
    "/etc/passwd",
    "a//b",
    "a/",
    "..",
    "a/../b",
    "./a",
    "a/.",
    "a\x00b",
    "a\nb",
    "\ud800",
    "x" * 256,
    "a/.preannotation-1.tmp",
    "é" * 128,
    "/".join(["segment"] * 200),
]


def test_invalid_keys_are_refused_and_touch_nothing(store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    calls: list[Callable[[str], object]] = [
        store.uri,
        store.read,
        store.stat,
        lambda key: store.read_into(key, io.BytesIO()),
        lambda key: store.download(key, tmp_path / "target"),
        lambda key: store.write(key, b"x"),
        lambda key: store.upload(key, source),
        lambda key: store.upload_if(key, source, None),
        lambda key: store.delete([key]),
    ]
    for key in INVALID_KEYS:
        for call in calls:
            with pytest.raises(StorageError, match="not valid"):
                call(key)
    assert list(store.list("")) == []
    assert not (tmp_path / "target").exists()


def test_etags_follow_the_content_and_times_are_utc(store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"one")
    first = store.upload("k", source)
    assert store.write("k", b"two") != first
    assert store.write("k", b"one") == first
    assert '"' not in first
    stat = store.stat("k")
    assert stat is not None
    assert stat.modified_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - stat.modified_at) < timedelta(minutes=1)


def test_missing_objects(store: ObjectStore, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"kept")
    store.write("folder/object", b"")
    for key in ("nothing", "folder", "folder/object/below"):
        with pytest.raises(ObjectNotFoundError) as caught:
            store.read(key)
        assert store.uri(key) in str(caught.value)
        with pytest.raises(ObjectNotFoundError):
            store.download(key, target)
        with pytest.raises(ObjectNotFoundError):
            store.read_into(key, io.BytesIO())
        assert store.stat(key) is None
        store.delete([key])
    assert target.read_bytes() == b"kept"
    assert [stat.key for stat in store.list("")] == ["folder/object"]
    assert list(store.list("nothing/here/")) == []


def test_download_is_the_object_and_leaves_no_temporary_file(store: ObjectStore, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    etag = store.write("big", content)
    target = tmp_path / "new folder" / "target"
    stat = store.download("big", target)
    assert target.read_bytes() == content
    assert (stat.etag, stat.size) == (etag, len(content))
    assert list(target.parent.iterdir()) == [target]
    copied = io.BytesIO()
    store.read_into("big", copied)
    assert copied.getvalue() == content


class _Full(io.BytesIO):
    """A file on a disk without room."""

    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, "no room")


def test_a_file_that_cannot_be_filled_is_not_taken_for_the_object(store: ObjectStore) -> None:
    store.write("k", b"x")
    with pytest.raises(StorageError, match="no room for temporary files") as caught, temporary_folder():
        store.read_into("k", _Full())
    assert store.uri("k") not in str(caught.value)


def test_a_download_that_has_no_place_to_go_names_the_place(store: ObjectStore, tmp_path: Path) -> None:
    store.write("k", b"x")
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    with pytest.raises(StorageError, match="a file stands where") as caught:
        store.download("k", blocked / "target")
    assert str(blocked / "target") in str(caught.value)


def test_list_is_sorted_by_key_over_all_pages(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    keys = ["a/b", "a/b0", "a/c/d", "a", "a.txt", "a-b", "a0", "b/\uffee", "b/😀", "b/é", "a+b %/c", "A/b"]
    keys.remove("a")
    for key in keys:
        store.write(key, key.encode())
    assert [stat.key for stat in store.list("")] == sorted(keys)
    for prefix in ("a", "a/", "a/b", "a/c/", "a/c/d", "b/", "b/é", "z"):
        assert [stat.key for stat in store.list(prefix)] == sorted(k for k in keys if k.startswith(prefix))
    for entry in store.list("a"):
        stat = store.stat(entry.key)
        assert stat is not None
        assert entry == ObjectEntry(stat.key, stat.size, stat.modified_at)


def test_list_refuses_prefixes_no_key_has(store: ObjectStore) -> None:
    for prefix in ("/", "../", "a//", "a/../b"):
        with pytest.raises(StorageError, match="not valid"):
            list(store.list(prefix))


def test_conditional_upload(store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"first")
    with pytest.raises(ConflictError):
        store.upload_if("k", source, "0" * 32)
    assert store.stat("k") is None
    first = store.upload_if("k", source, None)
    source.write_bytes(b"second")
    with pytest.raises(ConflictError):
        store.upload_if("k", source, None)
    second = store.upload_if("k", source, first)
    source.write_bytes(b"third")
    with pytest.raises(ConflictError) as caught:
        store.upload_if("k", source, first)
    assert store.uri("k") in str(caught.value)
    assert store.read("k") == b"second"
    store.delete(["k"])
    with pytest.raises(ConflictError):
        store.upload_if("k", source, second)
    assert list(store.list("")) == []


def test_of_two_racing_uploads_exactly_one_wins(store: ObjectStore, tmp_path: Path) -> None:
    expected: str | None = None
    for turn in range(10):
        paths = [tmp_path / f"{turn}-{name}" for name in "ab"]
        for path in paths:
            path.write_bytes(path.name.encode() * 10_000)
        start = threading.Barrier(2, timeout=10)
        outcomes = _race(store, paths, expected, start)
        winners = [path for path, etag in zip(paths, outcomes, strict=True) if etag is not None]
        assert len(winners) == 1
        assert store.read("k") == winners[0].read_bytes()
        expected = next(etag for etag in outcomes if etag is not None)


def _race(
    store: ObjectStore, paths: list[Path], expected: str | None, start: threading.Barrier
) -> list[str | None]:
    def upload(path: Path) -> str | None:
        start.wait()
        try:
            return store.upload_if("k", path, expected)
        except ConflictError:
            return None

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(upload, paths))


def test_no_update_is_lost_among_four_writers(store: ObjectStore, tmp_path: Path) -> None:
    store.write("count", b"0")

    def increment(name: str) -> None:
        path = tmp_path / name
        done = 0
        while done < 5:
            stat = store.stat("count")
            assert stat is not None
            value = int(store.read("count"))
            path.write_text(str(value + 1))
            try:
                store.upload_if("count", path, stat.etag)
            except ConflictError:
                continue
            done += 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(increment, "abcd"))
    assert store.read("count") == b"20"


def test_probes(store: ObjectStore) -> None:
    store.check_writable()
    store.check_conditional_writes()
    assert list(store.list("")) == []


def test_uploading_a_missing_file_says_so(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="absent"):
        store.upload("k", tmp_path / "absent")
    with pytest.raises(StorageError, match="absent"):
        store.upload_if("k", tmp_path / "absent", None)
    assert store.stat("k") is None


def test_a_location_can_be_sent_to_another_process(s3_location: StoreLocation, tmp_path: Path) -> None:
    for location in (s3_location, StoreLocation(str(tmp_path / "lake"))):
        open_store(location).write("k", b"sent")
        again: StoreLocation = pickle.loads(pickle.dumps(location))
        assert again == location
        assert open_store(again).read("k") == b"sent"


def test_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_root("s3://bucket") == S3Root("bucket", "")
    assert parse_root("S3://bucket/") == S3Root("bucket", "")
    assert parse_root("s3://bucket/a/b c/") == S3Root("bucket", "a/b c")
    assert parse_root("data/lake") == LocalRoot(tmp_path / "data/lake")
    assert parse_root("/data") == LocalRoot(Path("/data"))
    assert parse_root("file:///data/with%20space") == LocalRoot(Path("/data/with space"))
    assert open_store(StoreLocation("s3://bucket/a")).uri("b/c") == "s3://bucket/a/b/c"
    assert open_store(StoreLocation("s3://bucket")).uri("b/c") == "s3://bucket/b/c"
    assert open_store(StoreLocation("lake")).uri("b/c") == str(tmp_path / "lake/b/c")


@pytest.mark.parametrize(
    "root",
    [
        "",
        " ",
        "s3://",
        "s3:///prefix",
        "s3a://bucket/x",
        "gs://bucket",
        "https://host/x",
        "file://host/x",
        "s3://key:hidden@bucket/x",
        "s3://bucket/../x",
        "s3://bucket/a//b",
    ],
)
def test_unusable_roots(root: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_store(StoreLocation(root))
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["localhost:9000", "ftp://host", "http://", "https://user:hidden@host"])
def test_unusable_endpoints(endpoint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_store(StoreLocation("s3://bucket", endpoint))
    assert "hidden" not in str(caught.value)


def test_the_local_etag_is_the_sha256(local_store: ObjectStore) -> None:
    assert local_store.write("k", b"content") == hashlib.sha256(b"content").hexdigest()
