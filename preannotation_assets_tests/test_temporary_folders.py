"""What lies in TMPDIR: it goes with its process, or with the next one, and never from under a living one."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from shared.signal_handlers import kept_signal_handlers

from preannotation_assets.cli import main
from preannotation_assets.errors import StorageError
from preannotation_assets.lake import StoreLocation, open_store, write_batches, write_table
from preannotation_assets.settings.groups import WarehouseSettings
from preannotation_assets.temporary_folders import (
    remove_abandoned_folders,
    temporary_file,
    temporary_folder,
)
from preannotation_assets.warehouse import open_warehouse

# What a run does with page text in temporary files, stopped in the middle.
HOLDERS = {
    "a table": """
import pyarrow as pa
from preannotation_assets.lake import StoreLocation, open_store, write_batches
schema = pa.schema([("text", pa.string())])
def batches():
    for number in range(3):
        yield pa.record_batch([[f"page {number} qzxwqzxw" * 50_000]], schema=schema)
        if number == 2:
            halt()
write_batches(open_store(StoreLocation(sys.argv[1])), "argilla/work/x.parquet", schema, batches())
""",
    "a file": """
from preannotation_assets.temporary_folders import temporary_file
with temporary_file("suggestions.parquet") as path:
    path.write_text("qzxw")
    halt()
""",
}
PROGRAM = """
import signal, sys
def halt():
    print("halted", flush=True)
    signal.pause()
"""


SORTING = """
from preannotation_assets.settings.groups import WarehouseSettings
from preannotation_assets.warehouse import open_warehouse
settings = WarehouseSettings(database=sys.argv[2], batch_condition="true")
with open_warehouse(settings) as warehouse:
    for row in warehouse.read_pages("d"):
        halt()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A command gives signals handlers of its own."""
    with kept_signal_handlers():
        yield


@contextmanager
def halted(program: str, lake: Path, database: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has come to ``halt()``."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM + program, str(lake), str(database)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "halted\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def pages(path: Path, count: int) -> Path:
    """A warehouse with so many pages of 3,008 characters."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"""CREATE VIEW vw_argilla_pages AS SELECT 'd/' || (i * 7919 % {count}) AS doc_id, 1 AS page_num,
            repeat(md5(i::VARCHAR), 94) AS text, 'h' AS text_sha256 FROM range({count}) r(i)"""
        )
    return path


@pytest.mark.parametrize("what", HOLDERS)
def test_after_kill_9_the_next_command_removes_what_was_left_and_spares_the_living(
    what: str, temporary: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "pages.duckdb"
    with (
        halted(HOLDERS[what], tmp_path / "lake", database) as doomed,
        halted(HOLDERS[what], tmp_path / "lake", database) as living,
    ):
        left = sorted(temporary.rglob("*"))
        assert sum(path.is_file() for path in left) >= 2, "nothing was written that could be left"
        assert {path.stat().st_mode & 0o777 for path in temporary.iterdir()} == {0o700}
        os.kill(doomed.pid, signal.SIGKILL)
        doomed.wait(30)
        assert sorted(temporary.rglob("*")) == left

        assert main(["labels", "check"]) == 0

        assert len(list(temporary.iterdir())) == 1
        assert living.poll() is None
        os.kill(living.pid, signal.SIGKILL)
        living.wait(30)
    assert remove_abandoned_folders() == 1
    assert list(temporary.iterdir()) == []


def test_pages_that_were_sorted_on_disk_go_with_their_process(temporary: Path, tmp_path: Path) -> None:
    database = pages(tmp_path / "pages.duckdb", 30_000)
    with halted(SORTING, tmp_path / "lake", database) as doomed:
        opened = [str(each.readlink()) for each in Path(f"/proc/{doomed.pid}/fd").iterdir()]
        assert [name for name in opened if name.startswith(f"{temporary}/") and name.endswith("(deleted)")]
        os.kill(doomed.pid, signal.SIGKILL)
        doomed.wait(30)
    assert not [path for path in temporary.rglob("*") if path.is_file()]
    assert remove_abandoned_folders() == 2


def test_a_process_looks_for_what_was_left_before_its_first_folder_and_not_again(temporary: Path) -> None:
    (temporary / "preannotation-tmp-left").mkdir(mode=0o700)
    with temporary_folder() as first:
        assert list(temporary.iterdir()) == [first]
    (temporary / "preannotation-tmp-later").mkdir(mode=0o700)
    with temporary_folder():
        assert (temporary / "preannotation-tmp-later").is_dir()


@pytest.mark.parametrize("what", ["a table", "a file"])
def test_files_are_their_owner_s_alone(what: str, temporary: Path, tmp_path: Path) -> None:
    with halted(HOLDERS[what], tmp_path / "lake", tmp_path / "none"):
        files = [path for path in temporary.rglob("*") if path.is_file()]
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_two_folders_of_one_process_are_both_spared(temporary: Path) -> None:
    with temporary_folder() as first, temporary_file("x") as second:
        assert remove_abandoned_folders() == 0
        assert first.is_dir()
        assert second.is_file()
    assert list(temporary.iterdir()) == []


def test_a_link_and_a_folder_that_others_may_enter_are_left_alone(temporary: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    (temporary / "preannotation-tmp-link").symlink_to(target)
    strange = temporary / "preannotation-tmp-strange"
    strange.mkdir()
    strange.chmod(0o755)
    (temporary / "another").mkdir(mode=0o700)
    assert remove_abandoned_folders() == 0
    assert target.is_dir()
    assert strange.is_dir()


SCHEMA = pa.schema([("text", pa.string())])
# As with a full disk, which needs rights to make one: no file may be larger than this.
FULL = """
import resource, signal
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from preannotation_assets.temporary_folders import temporary_file
import pyarrow as pa, sys
from preannotation_assets.errors import StorageError
from preannotation_assets.lake import StoreLocation, open_store, write_batches, write_table
import random
texts = ["".join(random.choices("qzxw abcdefghij", k=100_000)) for _ in range(5)]
table = pa.table({"text": texts})
store = open_store(StoreLocation(sys.argv[1]))
for write in (
    lambda: write_table(store, "a", table),
    lambda: write_batches(store, "a", table.schema, table.to_batches()),
):
    try:
        write()
    except StorageError as error:
        print(error)
"""


def test_a_full_tmpdir_is_told_in_one_line_and_leaves_nothing(temporary: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "lake")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    line = "there is no room for temporary files (EFBIG): free some in TMPDIR, or set it to another folder\n"
    assert done.stdout == line * 2
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "lake" / "a").exists()


def test_a_tmpdir_that_cannot_be_written_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with pytest.raises(StorageError, match=r"no room for temporary files \(ENOTDIR\)"):
        write_table(open_store(StoreLocation(str(tmp_path))), "a", pa.table({"text": ["qzxw"]}))


def test_an_error_of_what_is_written_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([["a"]], schema=SCHEMA)
        raise StorageError("the lake is gone")

    with pytest.raises(StorageError, match="the lake is gone"):
        write_batches(open_store(StoreLocation(str(tmp_path))), "a", SCHEMA, batches())


def test_a_warehouse_leaves_no_folder(temporary: Path, tmp_path: Path) -> None:
    database = pages(tmp_path / "pages.duckdb", 10)
    with open_warehouse(WarehouseSettings(database=str(database), batch_condition="true")) as warehouse:
        assert len(list(warehouse.read_pages("d"))) == 10
        assert len(list(temporary.iterdir())) == 1
    assert list(temporary.iterdir()) == []
