import hashlib
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared.warehouse_view import DATASET, TABLE, VIEW, Row, database, read

from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.errors import WarehouseError
from preannotation_assets.extraction.pages import SourceRow


def doc_ids(path: Path, dataset: str = DATASET, condition: str = "") -> list[str]:
    return [row.doc_id for row in read(path, dataset, condition)]


def test_a_dataset_takes_in_its_own_documents_only(tmp_path: Path) -> None:
    mine = ["vessels_ocr_1" + rest for rest in ("", "/x", "-x", "_x", " x", ".1", "🚢", ":10", "\n1", "́")]
    others = ["vessels_ocr_1" + rest for rest in ("0", "1", "a", "ä", "é/x", "٣", "Ⅷ", "船")]
    others += ["vessels_ocr_", "Vessels_ocr_1/x", "x vessels_ocr_1", "", "vessels%ocr_1"]
    rows = [(doc_id, 1, "", "") for doc_id in (*mine, *others)]
    assert doc_ids(database(tmp_path, [TABLE, VIEW], rows)) == sorted(mine)


def is_mine(doc_id: str, dataset: str) -> bool:
    if "/" in doc_id:
        return doc_id.startswith(f"{dataset}/")
    following = doc_id.removeprefix(dataset)[:1] if doc_id.startswith(dataset) else "x"
    return not following or unicodedata.category(following)[0] not in "LN"


# Categories of unassigned code points differ between versions of Unicode.
beginnings = st.sampled_from(["vessels_ocr_1", "vessels_ocr_1", "vessels_ocr_10", "vessels", ""])
endings = st.text(st.characters(exclude_categories=["Cs", "Cn", "Co"]) | st.sampled_from("/:-"), max_size=3)


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


def test_no_progress_bar_is_printed_among_our_lines(tmp_path: Path) -> None:
    with WarehouseResource(database=str(database(tmp_path, [TABLE, VIEW]))).open() as source:
        setting = source._connection.execute("SELECT current_setting('enable_progress_bar')").fetchone()
    assert setting == (False,)


PAGES = 150_000
STREAM = """
import resource, sys
from preannotation_assets.defs.resources.warehouse import WarehouseResource
with WarehouseResource(database=sys.argv[1], memory_limit="100MB").open() as source:
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
    # The texts are 451 MB, of which DuckDB may hold 100 MB.
    assert grown_bytes < 400e6


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


def test_the_fingerprint_of_one_dataset_is_the_one_in_the_list(tmp_path: Path) -> None:
    rows = [("vessels_ocr_1/a", 1, "t", "h1"), ("vessels_ocr_10", 1, "t", "h2"), ("letters/a", 1, "t", "h")]
    path = database(tmp_path, [TABLE, VIEW], rows)
    with WarehouseResource(database=str(path)).open() as source:
        listed = source.list_datasets()
        assert [source.find_dataset(summary.dataset) for summary in listed] == listed
        assert source.find_dataset("letters") is None
        assert source.probe() == "3"


def test_a_fingerprint_is_the_same_in_every_version_of_duckdb(tmp_path: Path) -> None:
    path = database(tmp_path, [TABLE, VIEW], [("vessels_ocr_1/a", 7, "t", "h1")])
    digest = hashlib.md5(b"vessels_ocr_1/a\x1f7\x1fh1").digest()
    number = int.from_bytes(digest[8:], "little")
    with WarehouseResource(database=str(path)).open() as source:
        assert [found.fingerprint for found in source.list_datasets()] == [f"1-{number}-{number}"]


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
