"""What only a folder can do wrong: crashes between two system calls, other people's files, permissions."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from preannotation_assets.errors import StorageError
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store
from preannotation_assets.lake.local import staged_file

SIZE = 3_000_000

WRITE_FOR_EVER = """
import sys
from preannotation_assets.lake import StoreLocation, open_store
store = open_store(StoreLocation(sys.argv[1]))
while True:
    for letter in (b"a", b"b"):
        store.write("published/object", letter * int(sys.argv[2]))
"""

DIE_BEFORE_THE_RENAMING = """
import os, signal, sys
from preannotation_assets.lake import StoreLocation, open_store
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
open_store(StoreLocation(sys.argv[1])).write("published/object", b"new")
"""


@contextmanager
def child(script: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", script, *arguments])
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def later() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


@pytest.mark.server
def test_readers_see_whole_files_while_a_writer_writes_and_is_killed(
    local_store: ObjectStore, local_root: Path
) -> None:
    published = local_root / "published"
    for _ in range(3):
        with child(WRITE_FOR_EVER, str(local_root), str(SIZE)) as writer:
            seen = read_until_both_are_seen(published / "object")
            writer.send_signal(signal.SIGKILL)
        assert seen == {b"a", b"b"}
        content = local_store.read("published/object")
        assert content in (b"a" * SIZE, b"b" * SIZE)
        assert [stat.key for stat in local_store.list("")] == ["published/object"]
        local_store.sweep_unfinished("", later())
        assert os.listdir(published) == ["object"]  # noqa: PTH208
        local_store.delete(["published/object"])


def read_until_both_are_seen(path: Path) -> set[bytes]:
    """Read as a naive reader does; every read must be whole."""
    seen: set[bytes] = set()
    deadline = time.monotonic() + 20
    while len(seen) < 2 and time.monotonic() < deadline:
        if path.exists():
            content = path.read_bytes()
            assert len(content) == SIZE
            assert content == content[:1] * SIZE
            seen.add(content[:1])
    return seen


def test_a_writer_killed_before_the_renaming_leaves_the_old_object(
    local_store: ObjectStore, local_root: Path
) -> None:
    local_store.write("published/object", b"old")
    with child(DIE_BEFORE_THE_RENAMING, str(local_root)) as writer:
        assert writer.wait(20) == -signal.SIGKILL
    assert local_store.read("published/object") == b"old"
    assert [stat.key for stat in local_store.list("")] == ["published/object"]
    left = [path for path in (local_root / "published").iterdir() if path.name != "object"]
    assert len(left) == 1
    assert not list((local_root / "published").glob("*.parquet"))

    assert local_store.sweep_unfinished("", datetime.now(UTC) - timedelta(hours=1)) == 0
    assert local_store.sweep_unfinished("other", later()) == 0
    assert local_store.sweep_unfinished("published", later()) == 1
    assert not left[0].exists()
    assert local_store.read("published/object") == b"old"


def test_sweeping_spares_a_living_writer_however_old_its_file(
    local_store: ObjectStore, local_root: Path
) -> None:
    with staged_file(local_root / "published", 0o777) as staged:
        assert local_store.sweep_unfinished("", later()) == 0
        staged.stream.write(b"done")
        staged.replace(local_root / "published" / "object")
    assert local_store.read("published/object") == b"done"


def test_a_failed_write_leaves_neither_file(local_store: ObjectStore, local_root: Path) -> None:
    local_store.write("folder/object", b"x")
    with pytest.raises(StorageError, match="is a folder"):
        local_store.write("folder", b"x")
    with pytest.raises(StorageError, match="a file stands where"):
        local_store.write("folder/object/below", b"x")
    assert [path.name for path in local_root.iterdir() if not path.name.startswith("argilla")] == ["folder"]


def test_files_of_others_are_neither_listed_nor_touched(local_store: ObjectStore, local_root: Path) -> None:
    local_store.write("folder/object", b"x")
    strange = local_root / "folder" / "line\nbreak"
    strange.write_bytes(b"x")
    assert [stat.key for stat in local_store.list("")] == ["folder/object"]
    local_store.delete(["folder/object"])
    assert strange.exists()


def test_delete_takes_empty_folders_away_but_never_the_root(
    local_store: ObjectStore, local_root: Path
) -> None:
    local_store.write("a/b/c/one", b"")
    local_store.write("a/two", b"")
    local_store.delete(["a/b/c/one"])
    assert [path.name for path in (local_root / "a").iterdir()] == ["two"]
    local_store.delete(["a/two"])
    assert local_root.is_dir()
    assert not (local_root / "a").exists()


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def rights(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.usefixtures("umask")
def test_what_is_published_may_be_read_and_the_working_data_are_their_owner_s(local_root: Path) -> None:
    store = open_store(StoreLocation(str(local_root / "new" / "lake")))
    root = local_root / "new" / "lake"
    store.write("argilla/work/ds/answers/one", b"")
    store.write("argilla/in/ds/suggestions/suggestions.parquet", b"")
    store.write("argilla/work/ds/preview.html", b"")

    below = {path: rights(path) for path in (root / "argilla/work").rglob("*")}
    assert len(below) > 5
    assert {mode for path, mode in below.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in below.items() if path.is_file()} == {0o600}
    assert rights(root / "argilla/work") == 0o700
    for folder in (".", "argilla", "argilla/in", "argilla/in/ds/suggestions"):
        assert rights(root / folder) == 0o755
    assert rights(root / "argilla/in/ds/suggestions/suggestions.parquet") == 0o644


@pytest.mark.usefixtures("umask")
def test_a_download_is_its_owner_s_alone(local_store: ObjectStore, tmp_path: Path) -> None:
    local_store.write("object", b"")
    local_store.download("object", tmp_path / "copy")
    assert rights(tmp_path / "copy") == 0o600


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(
    ("before", "after"), [(0o755, 0o700), (0o777, 0o700), (0o750, 0o750), (0o700, 0o700)]
)
def test_a_work_area_that_everybody_may_enter_is_closed(
    local_store: ObjectStore, local_root: Path, before: int, after: int
) -> None:
    area = local_root / "argilla/work"
    area.mkdir(parents=True)
    area.chmod(before)
    local_store.check_writable()
    local_store.write("argilla/work/ds/one", b"")
    assert rights(area) == after
    # A group that was let in is let in further down.
    assert rights(area / "ds") == after
    assert rights(area / "ds/one") == after & 0o666


def test_a_work_area_of_another_user_that_everybody_may_enter_is_named(
    local_store: ObjectStore,
    local_root: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    area = local_root / "argilla/work"
    area.mkdir(parents=True)
    area.chmod(0o777)
    monkeypatch.setattr(os, "getuid", lambda: area.stat().st_uid + 1)
    local_store.check_writable()
    assert rights(area) == 0o777
    assert [record.getMessage() for record in caplog.records] == [
        f"every user of this machine may read the pages in {area}: chmod it to 700"
    ]


def test_dead_probes_are_cleared_away(local_store: ObjectStore, local_root: Path) -> None:
    old, young = (f"argilla/work/_probes/{name}" for name in ("old", "young"))
    for key in (old, young):
        local_store.write(key, b"")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(local_root / old, (two_days_ago, two_days_ago))
    local_store.check_writable()
    assert [stat.key for stat in local_store.list("")] == [young]


def test_a_root_that_is_a_file_is_reported_in_one_line(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    root.write_bytes(b"")
    with pytest.raises(StorageError) as caught:
        open_store(StoreLocation(str(root))).check_writable()
    assert str(caught.value).startswith(f"the storage root {root} cannot be used: a file stands where")
    assert "\n" not in str(caught.value)
    assert root.read_bytes() == b""


def test_a_read_only_root_is_reported_in_one_line(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    root.mkdir(mode=0o555)
    with without_privileges(), pytest.raises(StorageError) as caught:
        open_store(StoreLocation(str(root))).check_writable()
    assert str(caught.value).startswith(f"the storage root {root} cannot be used: access to")
    assert "\n" not in str(caught.value)


@contextmanager
def without_privileges() -> Iterator[None]:
    """Act as another user while the block runs, if the tests run as root, whom no mode stops."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
