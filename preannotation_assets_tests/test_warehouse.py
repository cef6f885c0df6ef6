import hashlib
import sqlite3
import struct
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preannotation_assets import warehouse
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.errors import WarehouseError
from preannotation_assets.extraction.pages import SourceRow
from preannotation_assets.warehouse import Warehouse

TABLE = "CREATE TABLE t(doc_id VARCHAR, page_num INTEGER, text VARCHAR, text_sha256 VARCHAR)"
VIEW = "CREATE VIEW vw_argilla_pages AS SELECT * FROM t"
DATASET = "vessels_ocr_1"

Row = tuple[Any, Any, Any, Any]


def database(folder: Path, statements: Iterable[str], rows: Sequence[Row] = ()) -> Path:
    path = folder / "it's a warehouse.duckdb"
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        if rows:
            connection.begin()
            connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", list(rows))
            connection.commit()
    return path


def read(path: Path | str, dataset: str = DATASET, condition: str = "") -> list[SourceRow]:
    with WarehouseResource(database=str(path), batch_condition=condition).open() as source:
        return list(source.read_pages(dataset))


def doc_ids(path: Path, dataset: str = DATASET, condition: str = "") -> list[str]:
    return [row.doc_id for row in read(path, dataset, condition)]


def problem(path: Path | str, condition: str = "") -> str:
    with pytest.raises(WarehouseError) as raised:
        read(path, condition=condition)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_dataset_takes_in_its_own_documents_only(tmp_path: Path) -> None:
    mine = ["vessels_ocr_1" + rest for rest in ("", "/x", "-x", "_x", " x", ".1", "🚢", ":10", "\n1", "́")]
    others = ["vessels_ocr_1" + rest for rest in ("0", "1", "a", "ä", "é/x", "٣", "Ⅷ", "船")]
    others += ["vessels_ocr_", "Vessels_ocr_1/x", "x vessels_ocr_1", "", "vessels%ocr_1"]
    rows = [(doc_id, 1, "", "") for doc_id in (*mine, *others)]
    assert doc_ids(database(tmp_path, [TABLE, VIEW], rows)) == sorted(mine)


def is_mine(doc_id: str, dataset: str) -> bool:
    following = doc_id.removeprefix(dataset)[:1] if doc_id.startswith(dataset) else "x"
    return not following or unicodedata.category(following)[0] not in "LN"


# Categories of unassigned code points differ between versions of Unicode.
beginnings = st.sampled_from(["vessels_ocr_1", "vessels_ocr_1", "vessels_ocr_10", "vessels", ""])
endings = st.text(st.characters(exclude_categories=["Cs", "Cn", "Co"]), max_size=3)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.builds(str.__add__, beginnings, endings), unique=True, min_size=1, max_size=60))
def test_the_rule_of_a_dataset_is_that_of_a_plain_oracle(tmp_path: Path, ids: list[str]) -> None:
    path = database(tmp_path, [TABLE, VIEW], [(doc_id, 1, "", "") for doc_id in ids])
    for dataset in ("vessels_ocr_1", "vessels_ocr_10"):
        assert doc_ids(path, dataset) == sorted(doc_id for doc_id in ids if is_mine(doc_id, dataset))


def test_the_condition_can_be_another(tmp_path: Path) -> None:
    rows = [("a", 1, "", ""), ("b", 1, "", ""), ("vessels_ocr_1", 1, "", "")]
    path = database(tmp_path, [TABLE, VIEW], rows)
    assert doc_ids(path, "b", "doc_id = $dataset OR doc_id = 'a'") == ["a", "b"]
    assert doc_ids(path, "vessels_ocr_1", "doc_id = 'a'") == ["a"]
    assert doc_ids(path, "vessels_ocr_1", "page_num = 1 OR true") == ["a", "b", "vessels_ocr_1"]


def test_a_list_of_documents_narrows_the_batch(tmp_path: Path) -> None:
    rows = [(f"{DATASET}/{name}", 1, "", "") for name in "abc"] + [("vessels_ocr_10", 1, "", "")]
    path = database(tmp_path, [TABLE, VIEW], rows)
    wanted = [f"{DATASET}/c", f"{DATASET}/a", f"{DATASET}/a", "vessels_ocr_10", "nowhere", "' OR true --"]
    with WarehouseResource(database=str(path)).open() as source:
        assert [row.doc_id for row in source.read_pages(DATASET, wanted)] == [f"{DATASET}/a", f"{DATASET}/c"]
        assert list(source.read_pages(DATASET, [])) == []


def test_rows_are_sorted_as_python_sorts_and_none_is_lost(tmp_path: Path) -> None:
    # Above the astral plane UTF-16 order differs from code point order.
    names = ["Z", "a", "é", "\uffee", "🚢", "ﬁ", "z"]
    rows = [(f"{DATASET}/{name}", page, "t", "h") for page in (10, 2, 1) for name in names] * 2
    rows += [(f"{DATASET}/a", None, "t", "h"), (f"{DATASET}/a", 3, None, "h"), (f"{DATASET}/a", 4, "t", None)]
    rows += [(None, 5, "t", "h")]
    found = read(database(tmp_path, [TABLE, VIEW], rows))
    assert len(found) == len(rows) - 1
    keys = [(row.doc_id, row.page_num if row.page_num is not None else 2**40) for row in found]
    assert keys == sorted(keys)
    assert SourceRow(f"{DATASET}/a", None, "t", "h") in found
    assert SourceRow(f"{DATASET}/a", 3, None, "h") in found
    assert SourceRow(f"{DATASET}/a", 4, "t", None) in found


def test_a_column_with_an_order_of_its_own_changes_nothing(tmp_path: Path) -> None:
    table = TABLE.replace("doc_id VARCHAR", "doc_id VARCHAR COLLATE NOCASE")
    rows = [(f"{DATASET}/{name}", 1, "", "") for name in "bAaB"] + [("VESSELS_OCR_1/x", 1, "", "")]
    assert [doc_id[-1] for doc_id in doc_ids(database(tmp_path, [table, VIEW], rows))] == ["A", "B", "a", "b"]


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        ("BIGINT", 2**31 - 1),
        ("BIGINT", -(2**63)),
        ("UBIGINT", 2**64 - 1),
        ("HUGEINT", 2**100),
        ("UTINYINT", 7),
    ],
)
def test_any_integer_is_a_page_number_for_the_reader(tmp_path: Path, data_type: str, value: int) -> None:
    table = TABLE.replace("page_num INTEGER", f"page_num {data_type}")
    (row,) = read(database(tmp_path, [table, VIEW], [(DATASET, value, "t", "h")]))
    assert row.page_num == value
    assert type(row.page_num) is int


def test_texts_come_as_they_are(tmp_path: Path) -> None:
    texts = ["", " \t", "a\r\nb\rc\n", "nul\0nul", "&amp; </page>", "é", "שלום", "👨‍👩‍👧", "x" * 100_000]
    rows = [(f"{DATASET}/{index}", 1, text, "h") for index, text in enumerate(texts)]
    assert [row.text for row in read(database(tmp_path, [TABLE, VIEW], rows))] == texts


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
    monkeypatch.setattr(warehouse.time, "sleep", lambda _: pytest.fail("it waits for a lock"))
    path = database(tmp_path, [TABLE, VIEW], [(DATASET, 1, "t", "h")])
    spoil(path)
    assert named in problem(path)


def test_a_type_is_told_without_the_values_in_it(tmp_path: Path) -> None:
    said = problem(database(tmp_path, [TABLE.replace(" text VARCHAR", " text ENUM('CONFIDENTIAL')"), VIEW]))
    assert "column text is ENUM: make it VARCHAR" in said
    assert "CONFIDENTIAL" not in said


def test_a_file_out_of_reach_is_told_without_the_secrets_in_its_address(tmp_path: Path) -> None:
    address = "https://user:CONFIDENTIAL@127.0.0.1:1/pages.parquet?signature=CONFIDENTIAL"
    said = warehouse._one_line(duckdb.IOException(f'IO Error: no \x1b[2J "{address}"\nmore'))
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
        warehouse._attach(Refusing(), "md:ocr?saas_mode=true")  # type: ignore[arg-type]
    assert "hunter2" not in repr(raised.value)


@pytest.mark.parametrize("column", ["page_num", "text"])
def test_an_error_in_the_middle_never_quotes_a_page(tmp_path: Path, column: str) -> None:
    rows = [(DATASET, page, f"CONFIDENTIAL{page}", "h") for page in range(3000)]
    broken = {
        "page_num": "SELECT doc_id, CASE WHEN page_num > 2500 THEN text::INTEGER ELSE page_num END"
        " AS page_num, text, text_sha256 FROM t",
        "text": "SELECT doc_id, page_num, CASE WHEN page_num > 2500 THEN error(text) ELSE text END AS text,"
        " text_sha256 FROM t",
    }[column]
    path = database(tmp_path, [TABLE, f"CREATE VIEW vw_argilla_pages AS {broken}"], rows)
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
        monkeypatch.setattr(warehouse, "_LOCK_WAIT_SECONDS", 0.3)
        began = time.monotonic()
        said = problem(path)
        assert f"process {writer.pid} holds it" in said
        assert str(path) in said
        assert 0.3 <= time.monotonic() - began < 5
        monkeypatch.setattr(warehouse, "_LOCK_WAIT_SECONDS", 20.0)
        writer.stdin.write("close\n")
        writer.stdin.flush()
        assert len(read(path)) == 1


def test_reading_changes_nothing_and_bears_other_readers(tmp_path: Path) -> None:
    path = database(tmp_path, [TABLE, VIEW], [(DATASET, 1, "t", "h")])
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    path.chmod(0o444)
    with (
        duckdb.connect(str(path), read_only=True),
        WarehouseResource(database=str(path)).open() as one,
        WarehouseResource(database=str(path)).open() as other,
    ):
        assert list(one.read_pages(DATASET)) == list(other.read_pages(DATASET))
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            one._connection.execute("INSERT INTO md_raw_ocr.main.t VALUES ('x', 1, 'x', 'x')")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", [pa.ArrowInvalid, OSError, duckdb.ConversionException])
def test_an_error_of_the_stream_is_told_without_its_message(kind: type[Exception]) -> None:
    with pytest.raises(WarehouseError) as raised, warehouse._named_errors("the pages cannot be read"):
        raise kind("Conversion Error: 'CONFIDENTIAL'")
    assert str(raised.value) == f"the pages cannot be read: DuckDB says {kind.__name__}"


def test_no_progress_bar_is_printed_among_our_lines(tmp_path: Path) -> None:
    with WarehouseResource(database=str(database(tmp_path, [TABLE, VIEW]))).open() as source:
        setting = source._connection.execute("SELECT current_setting('enable_progress_bar')").fetchone()
    assert setting == (False,)


PAGES = 150_000
STREAM = """
import resource, sys
from preannotation_assets.defs.resources.warehouse import WarehouseResource
with WarehouseResource(database=sys.argv[1], memory_limit="450MB").open() as source:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = sum(1 for row in source.read_pages("vessels_ocr_1"))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(rows, grown * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.server
def test_a_batch_streams_in_bounded_memory(tmp_path: Path) -> None:
    fill = f"""
        INSERT INTO t SELECT '{DATASET}/' || (i * 7919 % {PAGES}), 1, repeat(md5(i::VARCHAR), 94), 'h'
        FROM range({PAGES}) r(i)"""
    path = database(tmp_path, [TABLE, VIEW, fill])
    done = subprocess.run(
        [sys.executable, "-c", STREAM, str(path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    rows, grown_bytes = map(int, done.stdout.split())
    assert rows == PAGES
    # The texts are 451 MB; DuckDB may hold 450 MB, and a reader of everything would hold them once more.
    assert grown_bytes < 750e6


def test_too_little_memory_is_told(tmp_path: Path) -> None:
    fill = (
        f"INSERT INTO t SELECT '{DATASET}/' || i, 1, repeat(md5(i::VARCHAR), 94), 'h' FROM range(20000) r(i)"
    )
    path = database(tmp_path, [TABLE, VIEW, fill])
    with (
        WarehouseResource(database=str(path), memory_limit="20MB").open() as source,
        pytest.raises(WarehouseError, match="memory_limit"),
    ):
        list(source.read_pages(DATASET))


def test_datasets_are_listed_with_a_fingerprint_of_their_pages(tmp_path: Path) -> None:
    rows = [
        ("vessels_ocr_1/a", 1, "t", "h1"),
        ("vessels_ocr_1-b", 1, "t", "h2"),
        ("vessels_ocr_10", 1, "t", "h3"),
        ("vessels_ocr_1_march/a", 1, "t", "h4"),
        ("letters", 1, "t", "h"),
        (None, 1, "t", "h"),
    ]

    def summaries(rows: Sequence[Row]) -> dict[str, tuple[int, str]]:
        path = database(tmp_path, [TABLE, VIEW], rows)
        with WarehouseResource(database=str(path)).open() as source:
            return {item.dataset: (item.pages, item.fingerprint) for item in source.list_datasets()}

    first = summaries(rows)
    assert {name: pages for name, (pages, _) in first.items()} == {
        "vessels_ocr_1": 2,
        "vessels_ocr_10": 1,
        "vessels_ocr_1_march": 1,
    }
    assert summaries(rows[::-1]) == first
    changed = summaries([("vessels_ocr_1/a", 1, "t", "new"), *rows[1:]])
    assert changed["vessels_ocr_1"] != first["vessels_ocr_1"]
    assert changed["vessels_ocr_10"] == first["vessels_ocr_10"]
    # A page that is there twice and one that is there four times differ, which XOR alone would miss.
    assert summaries([*rows, rows[0], rows[0]])["vessels_ocr_1"] != first["vessels_ocr_1"]
    path = database(tmp_path, [TABLE, VIEW], rows)
    with (
        WarehouseResource(database=str(path), dataset_pattern="(?=v)(vessels)").open() as source,
        pytest.raises(WarehouseError, match="datasets cannot be listed"),
    ):
        source.list_datasets()


def fingerprint(source: Warehouse, dataset: str) -> str | None:
    summary = source.summary(dataset)
    return summary and summary.fingerprint


def test_the_fingerprint_of_one_dataset_is_the_one_in_the_list(tmp_path: Path) -> None:
    rows = [("vessels_ocr_1/a", 1, "t", "h1"), ("vessels_ocr_10", 1, "t", "h2"), ("letters/a", 1, "t", "h")]
    path = database(tmp_path, [TABLE, VIEW], rows)
    with WarehouseResource(database=str(path)).open() as source:
        listed = {summary.dataset: summary.fingerprint for summary in source.list_datasets()}
        assert {name: fingerprint(source, name) for name in listed} == listed
        assert source.summary("letters") is None
        assert source.probe() == "3"


def test_a_fingerprint_is_the_same_in_every_version_of_duckdb(tmp_path: Path) -> None:
    path = database(tmp_path, [TABLE, VIEW], [("vessels_ocr_1/a", 7, "t", "h1")])
    digest = hashlib.md5(b"vessels_ocr_1/a\x1f7\x1fh1").digest()
    number = int.from_bytes(digest[8:], "little")
    with WarehouseResource(database=str(path)).open() as source:
        assert fingerprint(source, "vessels_ocr_1") == f"1-{number}-{number}"


@pytest.mark.parametrize(
    ("dataset", "taken"),
    [
        ("vessels_ocr_1", ["vessels_ocr_1", "vessels_ocr_1-b", "vessels_ocr_1/a"]),
        ("vessels_ocr_1_march", ["vessels_ocr_1_march/a"]),
        # Without a / nothing says where the name of a dataset ends.
        ("vessels_ocr", ["vessels_ocr_1", "vessels_ocr_1-b", "vessels_ocr_10"]),
        ("harbour_log", []),
        ("harbour_log_2024", ["harbour_log_2024/a"]),
    ],
)
def test_a_batch_takes_in_no_dataset_whose_name_goes_on(
    tmp_path: Path, dataset: str, taken: list[str]
) -> None:
    doc_ids = [
        "vessels_ocr_1", "vessels_ocr_1/a", "vessels_ocr_1-b", "vessels_ocr_10", "vessels_ocr_1_march/a",
        "harbour_log_2024/a",
    ]  # fmt: skip
    path = database(tmp_path, [TABLE, VIEW], [(doc_id, 1, "t", "h") for doc_id in doc_ids])
    with WarehouseResource(database=str(path)).open() as source:
        assert [row.doc_id for row in source.read_pages(dataset)] == taken
        assert source.has_pages(dataset) == bool(taken)


def test_names_that_may_have_been_meant(tmp_path: Path) -> None:
    names = ["harbour_log_2024", "harbour_log_2025", "letters", "vessels_ocr_1"]
    path = database(tmp_path, [TABLE, VIEW], [(f"{name}/a", 1, "t", "h") for name in names])
    with WarehouseResource(database=str(path)).open() as source:
        assert source.similar_names("harbour_log") == ["harbour_log_2024", "harbour_log_2025"]
        assert source.similar_names("harbor_log_2024")[0] == "harbour_log_2024"
        assert source.similar_names("zzz") == []
