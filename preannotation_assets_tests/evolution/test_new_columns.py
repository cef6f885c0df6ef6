"""Files of an earlier and of a later version beside today's: columns and fields come and go.

A file without a nullable column is what every older file looks like to code that has added that column; a
file with one more is what older code finds once newer code has run.
"""

import json
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from evolution.frozen_lake import ANSWERS, FrozenLake, RunningSimulator, asked, in_columns

UNKNOWN = "added_later"


def without(table: pa.Table, column: str) -> pa.Table:
    return table.drop_columns([column])


def with_unknown(table: pa.Table) -> pa.Table:
    return table.append_column(UNKNOWN, pa.array([{"a": 1}] * table.num_rows))


def split_journal(copied: FrozenLake, change: Callable[[pa.Table], pa.Table]) -> list[str]:
    """Keeps the journal in a file as it is and one that is changed; the keys of the changed one.

    Only rows of answers are changed: what was split is not in a file that knows no pieces.
    """
    rows = copied.journal_rows()
    for key in copied.journal_files():
        copied.remove(key)
    is_changed = pc.and_(
        pc.equal(rows["status"], "answered"),
        pa.array(row % 2 == 0 for row in range(rows.num_rows)),
    )
    other = rows.filter(is_changed)
    copied.write(f"{copied.layout.answers}/kept/a.parquet", rows.filter(pc.invert(is_changed)))
    copied.write(f"{copied.layout.answers}/other/b.parquet", change(other))
    keys: list[str] = other["request_key"].to_pylist()
    assert len(keys) > 5
    return keys


def expected_rows(lake: FrozenLake, column: str, older: list[str]) -> list[dict[str, object]]:
    """The journal's rows by key, with null for a column where the file did not have it."""
    rows = lake.journal_rows().sort_by("request_key").to_pylist()
    return [row | ({column: None} if row["request_key"] in older else {}) for row in rows]


def all_answers(copied: FrozenLake, lake: FrozenLake) -> pa.Table:
    return copied.answers(lake.journal_rows()["request_key"].to_pylist())


def fill_with_small_files(copied: FrozenLake) -> None:
    """Puts every row of the journal's files into a file of its own, with the columns that it had."""
    for number, key in enumerate(copied.journal_files()):
        table = copied.read(key)
        copied.remove(key)
        for row in range(table.num_rows):
            copied.write(f"{copied.layout.answers}/small-{number}/{row:03}.parquet", table.slice(row, 1))


@pytest.mark.parametrize("column", ["queue_seconds", "token_logprobs", "pieces"])
def test_answers_stored_before_a_column_are_read_beside_today_s(
    copied: FrozenLake, lake: FrozenLake, column: str
) -> None:
    older = split_journal(copied, lambda table: without(table, column))
    read = all_answers(copied, lake)
    assert read.schema.equals(ANSWERS)
    assert read.to_pylist() == expected_rows(lake, column, older)


@pytest.mark.parametrize("column", ["queue_seconds", "token_logprobs", "pieces"])
def test_answers_stored_before_a_column_are_compacted_with_today_s(
    copied: FrozenLake, lake: FrozenLake, column: str
) -> None:
    older = split_journal(copied, lambda table: without(table, column))
    fill_with_small_files(copied)
    assert copied.compact() >= 20
    assert len(copied.journal_files()) == 1
    assert all_answers(copied, lake).to_pylist() == expected_rows(lake, column, older)


def test_answers_stored_with_an_unknown_column_are_read_beside_today_s(
    copied: FrozenLake, lake: FrozenLake
) -> None:
    split_journal(copied, with_unknown)
    read = all_answers(copied, lake)
    assert read.schema.equals(ANSWERS)
    assert read.to_pylist() == expected_rows(lake, "", [])


def test_answers_stored_with_an_unknown_column_keep_it_when_they_are_compacted_with_today_s(
    copied: FrozenLake, lake: FrozenLake
) -> None:
    newer = split_journal(copied, with_unknown)
    fill_with_small_files(copied)
    assert copied.compact() >= 20
    (file,) = copied.journal_files()
    kept = copied.read(file).select(["request_key", UNKNOWN]).to_pylist()
    assert {row["request_key"] for row in kept if row[UNKNOWN]} == set(newer)
    assert all_answers(copied, lake).to_pylist() == expected_rows(lake, "", [])


@pytest.mark.parametrize("change", [lambda table: without(table, "queue_seconds"), with_unknown])
def test_a_run_over_such_answers_asks_nothing_and_publishes_the_same_rows(
    copied: FrozenLake,
    lake: FrozenLake,
    simulator: RunningSimulator,
    run: Callable[..., int],
    change: Callable[[pa.Table], pa.Table],
) -> None:
    split_journal(copied, change)
    copied.remove(copied.layout.stage_manifest("raw_model_outputs"))
    doc_ids = [row["doc_id"] for row in lake.warehouse_rows if row["doc_id"] != lake.frozen.failed_doc_id]
    (copied.folder / "doc_ids.txt").write_text("\n".join(doc_ids), "utf-8")
    assert run(copied, "--doc-ids", "doc_ids.txt") == 0
    assert asked(simulator) == 0
    assert copied.published.equals(lake.published)


@pytest.mark.parametrize(
    ("place", "column"),
    [
        ("/raw_model_outputs/", "queue_seconds"),
        ("/raw_model_outputs/", "token_logprobs"),
        ("/requests/", "load_seconds"),
        ("/groundings/", "agreement"),
        ("/groundings/", "self_reported"),
    ],
)
def test_a_table_stored_before_a_column_has_null_there(copied: FrozenLake, place: str, column: str) -> None:
    tables = [(key, schema) for key, schema in copied.tables() if place in key]
    assert tables
    for key, schema in tables:
        stored = copied.read(key)
        copied.write(key, without(stored, column))
        read = copied.read_as(key, schema)
        assert read.schema.equals(schema)
        expected = in_columns(stored, schema).to_pylist()
        assert read.to_pylist() == [row | {column: None} for row in expected]


@pytest.mark.parametrize(
    "place", ["/pages/", "/chunks/", "/raw_model_outputs/", "/requests/", "/suggestions/"]
)
def test_a_table_stored_with_an_unknown_column_is_read_without_it(copied: FrozenLake, place: str) -> None:
    tables = [
        (key, schema) for key, schema in copied.tables() if f"/work/{copied.frozen.dataset}{place}" in key
    ]
    assert tables
    for key, schema in tables:
        stored = copied.read(key)
        copied.write(key, with_unknown(stored))
        read = copied.read_as(key, schema)
        assert read.schema.equals(schema)
        assert read.to_pylist() == in_columns(stored, schema).to_pylist()


@pytest.mark.parametrize(
    ("stage", "field", "value"),
    [
        ("pages", "narrowed_to_doc_ids", None),
        ("raw_model_outputs", "second_answered", 0),
        ("published", "values_by_verdict", {}),
    ],
)
def test_a_manifest_stored_before_a_field_has_its_default(
    copied: FrozenLake, stage: str, field: str, value: object
) -> None:
    key, kind = next(each for each in copied.manifests() if each[0] == copied.manifest_key(stage))
    document = json.loads(copied.store.read(key))
    del document[field]
    copied.store.write(key, json.dumps(document).encode())
    # Fields that are newer than the frozen file have their defaults, and are of no matter here.
    assert copied.read_manifest_as(key, kind).items() >= (document | {field: value}).items()


@pytest.mark.parametrize("number", range(5))
def test_a_manifest_stored_with_an_unknown_field_is_read_without_it(copied: FrozenLake, number: int) -> None:
    key, kind = list(copied.manifests())[number]
    document = json.loads(copied.store.read(key))
    copied.store.write(key, json.dumps(document | {UNKNOWN: 1}).encode())
    read = copied.read_manifest_as(key, kind)
    assert UNKNOWN not in read
    assert read.items() >= document.items()
