"""What cannot be read of a warehouse is told in one line, without a word of a page."""

import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from shared.warehouse_view import DATASET, TABLE, VIEW, database, read

from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.errors import WarehouseError
from preannotation_assets.warehouse import connecting


def problem(path: Path | str, condition: str = "") -> str:
    with pytest.raises(WarehouseError) as raised:
        read(path, condition=condition)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        ([TABLE], "vw_argilla_pages does not exist"),
        ([TABLE, VIEW, "DROP TABLE t"], "Table with name t does not exist"),
        ([TABLE, VIEW, "ALTER TABLE t DROP COLUMN text"], "lacks the column(s) text"),
        (["CREATE VIEW vw_argilla_pages AS SELECT 'a' AS doc_id, 'b' AS text"], "page_num, text_sha256"),
        ([TABLE.replace("page_num INTEGER", "page_num VARCHAR"), VIEW], "column page_num is VARCHAR"),
        ([TABLE.replace("page_num INTEGER", "page_num DOUBLE"), VIEW], "column page_num is DOUBLE"),
        ([TABLE.replace(" text VARCHAR", " text BLOB"), VIEW], "column text is BLOB"),
        ([TABLE.replace("doc_id VARCHAR", "doc_id INTEGER"), VIEW], "column doc_id is INTEGER"),
        (
            [
                TABLE,
                "ATTACH ':memory:' AS elsewhere",
                "CREATE TABLE elsewhere.t AS FROM t",
                "CREATE VIEW vw_argilla_pages AS FROM elsewhere.main.t",
            ],
            'Catalog "elsewhere" does not exist',
        ),
    ],
)
def test_a_view_that_cannot_serve_is_told_in_one_line(
    tmp_path: Path, statements: list[str], named: str
) -> None:
    assert named in problem(database(tmp_path, statements))


@pytest.mark.parametrize(
    "condition", ["doc_id =", "nothing = 1", "doc_id = 'a' -- x", "1", "doc_id = '$dataset'"]
)
def test_a_wrong_condition_is_told_in_one_line(tmp_path: Path, condition: str) -> None:
    path = database(tmp_path, [TABLE, VIEW], [(DATASET, 1, "a", "h")])
    if condition == "1":
        assert len(read(path, condition=condition)) == 1
    else:
        assert "the pages cannot be read" in problem(path, condition)


def test_what_is_no_database_is_told_in_one_line(tmp_path: Path) -> None:
    assert "no DuckDB file" in problem(tmp_path / "missing.duckdb")
    assert not (tmp_path / "missing.duckdb").exists()
    assert "no DuckDB file" in problem(tmp_path)
    for content in (b"", b"not a database" * 1000):
        (tmp_path / "text.duckdb").write_bytes(content)
        assert "text.duckdb is no DuckDB database" in problem(tmp_path / "text.duckdb")
    with closing(sqlite3.connect(tmp_path / "lite.duckdb")) as other:
        other.execute("CREATE TABLE t(a)")
    assert "lite.duckdb is no DuckDB database" in problem(tmp_path / "lite.duckdb")


UNCLOSED = """
import os, sys, duckdb
connection = duckdb.connect(sys.argv[1])
for statement in sys.argv[2:]:
    connection.execute(statement)
os._exit(0)
"""


def test_a_log_that_cannot_be_replayed_without_writing_is_told_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "with a log.duckdb"
    statements = [
        "PRAGMA disable_checkpoint_on_shutdown", "SET checkpoint_threshold = '1TB'", TABLE, VIEW,
        f"INSERT INTO t SELECT '{DATASET}/' || i, 1, 't', 'h' FROM range(100000) r(i)", "CHECKPOINT",
        "CREATE INDEX by_document ON t(doc_id)", f"INSERT INTO t VALUES ('{DATASET}', 1, 't', 'h')",
    ]  # fmt: skip
    subprocess.run([sys.executable, "-c", UNCLOSED, str(path), *statements], check=True, timeout=60)
    assert path.with_name(f"{path.name}.wal").exists()
    said = problem(path)
    assert "was not closed by its last writer" in said
    assert f'open it once for writing: duckdb "{path}" -c CHECKPOINT' in said
    with duckdb.connect(str(path)) as connection:
        connection.execute("CHECKPOINT")
    assert len(read(path)) == 100_001


def header_checksum(block: bytes) -> int:
    """As DuckDB reckons it over the words of 8 bytes behind it."""
    total = 5381
    for (word,) in struct.iter_unpack("<Q", block):
        total ^= (word * 0xBF58476D1CE4E5B9) % 2**64
    return total


def of_version(path: Path, version: int) -> None:
    """Makes the file one of another version of DuckDB's storage."""
    content = bytearray(path.read_bytes())
    content[12:20] = struct.pack("<Q", version)
    content[:8] = struct.pack("<Q", header_checksum(bytes(content[8:4096])))
    path.write_bytes(content)


def damage(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda path: of_version(path, 999), f"whose files {duckdb.__version__} cannot read: upgrade"),
        (lambda path: of_version(path, 1), f"whose files {duckdb.__version__} cannot read: upgrade"),
        (lambda path: damage(path, 100), "is damaged: restore it"),
        (lambda path: damage(path, 4096 + 100), "is damaged: restore it"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "is damaged: restore it"),
    ],
    ids=["newer", "ancient", "first block", "second block", "cut"],
)
def test_a_database_that_cannot_be_read_is_told_at_once_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], object], named: str
) -> None:
    # A message about a block is none about a lock.
    monkeypatch.setattr(connecting.time, "sleep", lambda _: pytest.fail("it waits for a lock"))
    path = database(tmp_path, [TABLE, VIEW], [(DATASET, 1, "t", "h")])
    spoil(path)
    assert named in problem(path)


def test_a_type_is_told_without_the_values_in_it(tmp_path: Path) -> None:
    said = problem(database(tmp_path, [TABLE.replace(" text VARCHAR", " text ENUM('CONFIDENTIAL')"), VIEW]))
    assert "column text is ENUM: make it VARCHAR" in said
    assert "CONFIDENTIAL" not in said


def test_a_file_out_of_reach_is_told_without_the_secrets_in_its_address(tmp_path: Path) -> None:
    address = "https://user:CONFIDENTIAL@127.0.0.1:1/pages.parquet?signature=CONFIDENTIAL"
    said = connecting.one_line(duckdb.IOException(f'IO Error: no \x1b[2J "{address}"\nmore'))
    assert said == 'IO Error: no \u241b[2J "https://\u2026127.0.0.1:1/pages.parquet?\u2026"'


def test_motherduck_needs_a_token_and_no_answer_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("motherduck_token", "MOTHERDUCK_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert "set motherduck_token" in problem("md:")
    assert "md:NAME" in problem("md:two words")
    monkeypatch.setenv("motherduck_token", "hunter2")

    class Refusing:
        def execute(self, statement: str) -> None:
            raise duckdb.IOException(f"{statement}: token hunter2 was refused\nwith more lines")

    with pytest.raises(WarehouseError, match="token … was refused") as raised:
        connecting._attach(Refusing(), "md:ocr?saas_mode=true")  # type: ignore[arg-type]
    assert "hunter2" not in repr(raised.value)


@pytest.mark.parametrize("column", ["page_num", "text"])
def test_an_error_in_the_middle_never_quotes_a_page(tmp_path: Path, column: str) -> None:
    rows = f"INSERT INTO t SELECT '{DATASET}', page, 'CONFIDENTIAL' || page, 'h' FROM range(3000) r(page)"
    broken = {
        "page_num": "SELECT doc_id, CASE WHEN page_num > 2500 THEN text::INTEGER ELSE page_num END"
        " AS page_num, text, text_sha256 FROM t",
        "text": "SELECT doc_id, page_num, CASE WHEN page_num > 2500 THEN error(text) ELSE text END AS text,"
        " text_sha256 FROM t",
    }[column]
    path = database(tmp_path, [TABLE, rows, f"CREATE VIEW vw_argilla_pages AS {broken}"])
    with pytest.raises(WarehouseError, match="DuckDB says") as raised:
        read(path)
    assert "CONFIDENTIAL" not in repr(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_row_without_a_document_is_no_silent_loss(tmp_path: Path) -> None:
    path = database(tmp_path, [TABLE, VIEW], [(None, 1, "CONFIDENTIAL", "h")])
    assert "row without a doc_id" in problem(path, condition="true")
    assert read(path) == []


WRITER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("locked", flush=True)
sys.stdin.readline()
connection.close()
"""


def test_a_database_open_elsewhere_is_waited_for_and_its_holder_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = database(tmp_path, [TABLE, VIEW], [(DATASET, 1, "t", "h")])
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == "locked\n"
        monkeypatch.setattr(connecting, "_LOCK_WAIT_SECONDS", 0.3)
        began = time.monotonic()
        said = problem(path)
        assert f"process {writer.pid} holds it" in said
        assert str(path) in said
        assert time.monotonic() - began >= 0.3
        monkeypatch.setattr(connecting, "_LOCK_WAIT_SECONDS", 20.0)
        writer.stdin.write("close\n")
        writer.stdin.flush()
        assert len(read(path)) == 1


@pytest.mark.parametrize("kind", [pa.ArrowInvalid, OSError, duckdb.ConversionException])
def test_an_error_of_the_stream_is_told_without_its_message(kind: type[Exception]) -> None:
    with pytest.raises(WarehouseError) as raised, connecting.named_errors("the pages cannot be read"):
        raise kind("Conversion Error: 'CONFIDENTIAL'")
    assert str(raised.value) == f"the pages cannot be read: DuckDB says {kind.__name__}"


def test_too_little_memory_is_told(tmp_path: Path) -> None:
    fill = (
        f"INSERT INTO t SELECT '{DATASET}/' || i, 1, repeat(md5(i::VARCHAR), 94), 'h' FROM range(20000) r(i)"
    )
    view = "CREATE VIEW vw_argilla_pages AS SELECT DISTINCT * FROM t"
    path = database(tmp_path, [TABLE, view, fill])
    with (
        WarehouseResource(database=str(path), memory_limit="20MB").open() as source,
        pytest.raises(WarehouseError, match="raise PREANNOTATION_MEMORY_LIMIT"),
    ):
        list(source.read_pages(DATASET))
