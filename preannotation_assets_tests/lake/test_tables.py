"""Tables and documents: whole or not at all, and read back as written."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from preannotation_assets.errors import ObjectNotFoundError, StorageError
from preannotation_assets.lake import (
    ObjectStore,
    TableStat,
    read_json,
    read_table,
    write_batches,
    write_json,
    write_table,
)

SCHEMA = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("start", pa.int32()),
        pa.field("at", pa.timestamp("us", "UTC")),
    ]
)


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Every test must leave the folder for temporary files empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def batch(rows: int, first: int = 0) -> pa.RecordBatch:
    numbers = range(first, first + rows)
    return pa.record_batch([[f"d{n}" for n in numbers], list(numbers), list(numbers)], schema=SCHEMA)


def test_a_table_comes_back_with_its_schema(store: ObjectStore) -> None:
    table = pa.Table.from_batches([batch(10), batch(3, 10)], SCHEMA)
    size = write_table(store, "folder/table.parquet", table, row_group_size=4)
    stat = store.stat("folder/table.parquet")
    assert stat is not None
    assert stat.size == size
    assert read_table(store, "folder/table.parquet").equals(table, check_metadata=True)
    chosen = read_table(store, "folder/table.parquet", ["start", "doc_id"])
    assert chosen.equals(table.select(["start", "doc_id"]))


def test_tables_are_compressed_with_zstd_in_the_given_row_groups(store: ObjectStore) -> None:
    write_table(store, "t", pa.Table.from_batches([batch(10)]), row_group_size=4)
    metadata = pq.read_metadata(pa.BufferReader(store.read("t")))
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [4, 4, 2]
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_reading_what_is_no_table_or_lacks_a_column(store: ObjectStore) -> None:
    with pytest.raises(ObjectNotFoundError):
        read_table(store, "nothing")
    store.write("k", b"PAR1 but no table PAR1")
    with pytest.raises(StorageError, match="not a readable Parquet file"):
        read_table(store, "k")
    write_table(store, "k", pa.Table.from_batches([batch(1)]))
    with pytest.raises(StorageError, match="lacks the columns model"):
        read_table(store, "k", ["doc_id", "model"])


def test_batches_become_one_table_in_few_row_groups(store: ObjectStore) -> None:
    batches = [batch(1000, 1000 * n) for n in range(120)]
    stat = write_batches(store, "k", SCHEMA, iter(batches))
    content = store.read("k")
    assert stat == TableStat(120_000, len(content))
    assert read_table(store, "k").equals(pa.Table.from_batches(batches, SCHEMA))
    metadata = pq.read_metadata(pa.BufferReader(content))
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [
        50_000,
        50_000,
        20_000,
    ]


@pytest.mark.parametrize("batches", [[], [batch(0)]])
def test_no_rows_make_an_empty_table_with_the_schema(
    store: ObjectStore, batches: list[pa.RecordBatch]
) -> None:
    assert write_batches(store, "k", SCHEMA, batches).rows == 0
    assert read_table(store, "k").equals(SCHEMA.empty_table())


class InterruptedReadingError(Exception):
    """Stands for whatever the source of the batches may raise."""


def interrupted() -> Iterator[pa.RecordBatch]:
    for n in range(3):
        yield batch(50_000, 50_000 * n)
    raise InterruptedReadingError


def test_an_exception_among_the_batches_publishes_nothing(store: ObjectStore) -> None:
    with pytest.raises(InterruptedReadingError):
        write_batches(store, "published/new", SCHEMA, interrupted())
    assert list(store.list("")) == []
    store.write("published/old", b"old")
    with pytest.raises(InterruptedReadingError):
        write_batches(store, "published/old", SCHEMA, interrupted())
    assert store.read("published/old") == b"old"
    assert [stat.key for stat in store.list("")] == ["published/old"]


@pytest.mark.parametrize(
    "other",
    [
        pa.schema([*list(SCHEMA)[:2], pa.field("at", pa.timestamp("us"))]),
        pa.schema(list(SCHEMA)[:2]),
        pa.schema([SCHEMA.field(1), SCHEMA.field(0), SCHEMA.field(2)]),
        pa.schema([pa.field("doc_id", pa.string()), *list(SCHEMA)[1:]]),
    ],
    ids=["type", "missing", "order", "nullability"],
)
def test_a_batch_of_another_schema_publishes_nothing(store: ObjectStore, other: pa.Schema) -> None:
    wrong = pa.RecordBatch.from_pylist([], schema=other)
    with pytest.raises(StorageError, match="another schema"):
        write_batches(store, "k", SCHEMA, [batch(60_000), wrong])
    assert list(store.list("")) == []


def test_a_long_stream_is_never_held_in_memory(local_store: ObjectStore) -> None:
    schema = pa.schema([pa.field("text", pa.binary())])
    before = pa.total_allocated_bytes()
    peak = 0

    def stream() -> Iterator[pa.RecordBatch]:
        nonlocal peak
        for _ in range(300):
            yield pa.record_batch([[b"x" * 1_000_000]], schema=schema)
            peak = max(peak, pa.total_allocated_bytes() - before)

    assert write_batches(local_store, "k", schema, stream()).rows == 300
    assert 50_000_000 < peak < 150_000_000


def test_documents_come_back_and_are_written_one_way(store: ObjectStore) -> None:
    assert read_json(store, "nothing.json") is None
    value: dict[str, object] = {"rows": 3, "failed": ["d:1"], "größe": None, "at": {"z": 1.5, "a": True}}
    write_json(store, "k.json", value)
    assert read_json(store, "k.json") == value
    first = store.read("k.json")
    write_json(store, "k.json", dict(reversed(value.items())))
    assert store.read("k.json") == first
    assert first.decode() == json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_what_is_no_document_is_refused_without_quoting_it(store: ObjectStore, content: bytes) -> None:
    store.write("k", content)
    with pytest.raises(StorageError, match=r"is not (JSON|a JSON object): remove it") as caught:
        read_json(store, "k")
    assert caught.value.__cause__ is None


def test_numbers_json_lacks_are_refused(store: ObjectStore) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(store, "k", {"confidence": float("nan")})
    assert store.stat("k") is None
