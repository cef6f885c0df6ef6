"""Tables and documents: whole or not at all, and read back as written."""

import io
import json
import random
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from s3_servers.fault_proxy import FaultProxy

from preannotation_assets.errors import DamagedObjectError, ObjectNotFoundError, StorageError
from preannotation_assets.lake import (
    ObjectStore,
    TableStat,
    read_json,
    read_rows_as,
    read_table,
    read_table_as,
    write_batches,
    write_json,
    write_table,
)
from preannotation_assets.lake.column_ranges import column_ranges
from preannotation_assets.lake.reading import ObjectReader

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
    with pytest.raises(DamagedObjectError, match="not a readable Parquet file"):
        read_table(store, "k")
    write_table(store, "k", pa.Table.from_batches([batch(1)]))
    with pytest.raises(DamagedObjectError, match="lacks the columns model"):
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
    with pytest.raises(DamagedObjectError, match=r"is not (JSON|a JSON object): remove it") as caught:
        read_json(store, "k")
    assert caught.value.__cause__ is None


def test_numbers_json_lacks_are_refused(store: ObjectStore) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(store, "k", {"confidence": float("nan")})
    assert store.stat("k") is None


_COLUMNS = st.sampled_from(
    [
        st.integers(-(2**31), 2**31 - 1),
        st.text(st.characters(codec="utf-8"), max_size=20),
        st.lists(st.integers(0, 9), max_size=3),
        st.fixed_dictionaries({"start": st.integers(0, 9), "key": st.none() | st.text("ab", max_size=3)}),
        st.floats(allow_nan=False),
    ]
)


@st.composite
def _tables(draw: st.DrawFn) -> pa.Table:
    """Columns of several kinds; a wide one in between makes them lie apart in the file."""
    rows = draw(st.integers(0, 30))
    names = draw(st.lists(st.sampled_from(["a", "b", "c.d", "é", "f g"]), min_size=1, unique=True))
    columns = {}
    for name in names:
        values = draw(_COLUMNS)
        columns[name] = pa.array(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)))
    columns["wide"] = pa.array([random.Random(row).randbytes(9000) for row in range(rows)], pa.binary())
    order = draw(st.permutations(list(columns)))
    return pa.table({name: columns[name] for name in order})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=_tables(), data=st.data())
def test_a_projection_is_the_same_as_of_the_whole_table(
    store: ObjectStore, table: pa.Table, data: st.DataObject
) -> None:
    write_table(store, "k", table, row_group_size=data.draw(st.sampled_from([1, 7, 50])))
    chosen = data.draw(st.lists(st.sampled_from(table.column_names), unique=True))
    assert read_table(store, "k", chosen).equals(read_table(store, "k").select(chosen))


def _pages(rows: int) -> pa.Table:
    """Synthetic pages with a wide, incompressible text between narrow columns."""
    generator = random.Random(3)
    return pa.table(
        {
            "doc_id": [f"d{row // 10:06}" for row in range(rows)],
            "page_num": pa.array([row % 10 for row in range(rows)], pa.int32()),
            "text": [generator.randbytes(400).hex() for _ in range(rows)],
            "text_sha256": [generator.randbytes(32).hex() for _ in range(rows)],
        }
    )


def test_a_projection_fetches_its_columns_in_few_requests(s3_store: ObjectStore, proxy: FaultProxy) -> None:
    table = _pages(2000)
    size = write_table(s3_store, "k", table)
    assert size > 800_000
    proxy.requests.clear()
    columns = ["text_sha256", "doc_id", "page_num"]
    assert read_table(s3_store, "k", columns).equals(table.select(columns))
    assert len(proxy.requests) == s3_store.fetched.requests <= 3
    assert s3_store.fetched.bytes < 250_000
    before = s3_store.fetched
    read_table(s3_store, "k")
    whole = s3_store.fetched - before
    assert (whole.bytes, whole.requests) == (size, 1)


def test_a_column_of_lists_lies_in_a_range_for_each_of_its_values(tmp_path: Path) -> None:
    table = pa.table({"rows": [1], "spans": [[{"start": 1, "label": "port"}]], "text": ["Hull"]})
    pq.write_table(table, tmp_path / "t.parquet")
    metadata = pq.read_metadata(tmp_path / "t.parquet")
    assert [len(column_ranges(metadata, [name], [0])) for name in table.column_names] == [1, 2, 1]


def test_a_projection_of_a_file_reads_its_columns(local_store: ObjectStore) -> None:
    write_table(local_store, "k", _pages(2000))
    read_table(local_store, "k", ["doc_id", "page_num"])
    assert local_store.fetched.bytes < 120_000


def test_no_thread_of_arrow_reads(local_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that still holds a part of an object when the interpreter ends, aborts it."""
    table = _pages(2000)
    write_table(local_store, "k", table, row_group_size=100)
    readers = set()
    read = ObjectReader.read

    def watched(reader: ObjectReader, size: int | None = -1) -> bytes:
        readers.add(threading.get_ident())
        return read(reader, size)

    monkeypatch.setattr(ObjectReader, "read", watched)
    assert read_table(local_store, "k", ["text", "doc_id"]).equals(table.select(["text", "doc_id"]))
    assert readers == {threading.get_ident()}


def test_a_small_table_is_one_request(s3_store: ObjectStore) -> None:
    write_table(s3_store, "k", _pages(50))
    read_table(s3_store, "k", ["text_sha256", "doc_id"])
    assert s3_store.fetched.requests == 1


class _Meanwhile:
    """A store in which something is done to an object right after it was opened."""

    def __init__(self, store: ObjectStore, act: Callable[[], object]) -> None:
        self._store = store
        self._act = act

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def open(self, key: str) -> io.BufferedIOBase:
        reader = self._store.open(key)
        self._act()
        return reader


def test_a_projection_of_a_table_that_is_replaced_is_the_new_table(s3_store: ObjectStore) -> None:
    old, new = _pages(2000), _pages(1999)
    write_table(s3_store, "k", old)
    store: Any = _Meanwhile(s3_store, lambda: write_table(s3_store, "k", new))
    assert read_table(store, "k", ["text"]).equals(new.select(["text"]))


def test_a_table_that_vanishes_while_it_is_read_is_not_found(s3_store: ObjectStore) -> None:
    write_table(s3_store, "k", _pages(2000))
    store: Any = _Meanwhile(s3_store, lambda: s3_store.delete(["k"]))
    with pytest.raises(ObjectNotFoundError):
        read_table(store, "k", ["text"])


def test_a_projection_survives_a_body_that_breaks_off(s3_store: ObjectStore, proxy: FaultProxy) -> None:
    table = _pages(2000)
    write_table(s3_store, "k", table)
    proxy.cut_bodies = 2
    assert read_table(s3_store, "k", ["text"]).equals(table.select(["text"]))
    assert proxy.cut_bodies == 0


def test_a_table_of_another_schema_is_read_as_the_known_one(store: ObjectStore) -> None:
    write_table(store, "k", pa.table({"more": ["x"], "start": pa.array([7], pa.int16()), "doc_id": ["d"]}))
    whole = read_table_as(store, "k", SCHEMA)
    assert whole.schema.equals(SCHEMA)
    assert whole.to_pylist() == [{"doc_id": "d", "start": 7, "at": None}]
    chosen = read_table_as(store, "k", SCHEMA, ["at", "start"])
    assert chosen.schema.equals(pa.schema([SCHEMA.field("at"), SCHEMA.field("start")]))
    assert read_table_as(store, "k", SCHEMA, ["at"]).to_pylist() == [{"at": None}]
    with pytest.raises(KeyError):
        read_table_as(store, "k", SCHEMA, ["more"])


def test_what_does_not_fit_the_known_schema_is_named_with_its_place(store: ObjectStore) -> None:
    write_table(store, "k", pa.table({"start": ["seven"]}))
    for columns in (None, ["doc_id"]):
        with pytest.raises(DamagedObjectError, match=r"/k lacks the column doc_id"):
            read_table_as(store, "k", SCHEMA, columns)
    with pytest.raises(
        DamagedObjectError, match=r"/k has the column start as string, which does not fit int32"
    ):
        read_table_as(store, "k", SCHEMA, ["start"])
    with pytest.raises(ObjectNotFoundError):
        read_table_as(store, "nothing", SCHEMA)


def test_columns_of_one_name_are_refused(store: ObjectStore) -> None:
    write_table(store, "k", pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["doc_id"] * 2))
    reads: list[Callable[[], object]] = [
        lambda: read_table(store, "k"),
        lambda: read_table(store, "k", ["doc_id"]),
        lambda: read_table_as(store, "k", SCHEMA, ["doc_id"]),
    ]
    for read in reads:
        with pytest.raises(DamagedObjectError, match="more than one column doc_id"):
            read()


def test_rows_come_by_their_numbers_and_in_that_order(store: ObjectStore) -> None:
    write_table(store, "k", pa.table({"doc_id": list("abcdefg"), "more": range(7)}), row_group_size=2)
    found = read_rows_as(store, "k", SCHEMA.remove(1), [6, 0, 3])
    assert found.to_pylist() == [{"doc_id": doc_id, "at": None} for doc_id in "gad"]
    assert read_rows_as(store, "k", SCHEMA.remove(1), []).num_rows == 0
    with pytest.raises(DamagedObjectError, match="not a readable Parquet file"):
        read_rows_as(store, "k", SCHEMA.remove(1), [0, 7])
    write_table(store, "other", pa.table({"more": [1]}))
    with pytest.raises(DamagedObjectError, match="lacks the column doc_id"):
        read_rows_as(store, "other", SCHEMA.remove(1), [0])


def test_rows_fetch_their_groups_only(s3_store: ObjectStore) -> None:
    table = _pages(2000)
    size = write_table(s3_store, "k", table, row_group_size=200)
    assert read_rows_as(s3_store, "k", table.schema, [450, 500]).equals(table.take([450, 500]))
    assert s3_store.fetched.bytes < size / 5
    assert s3_store.fetched.requests == 2


def test_rows_of_a_table_that_is_replaced_are_of_the_new_table(s3_store: ObjectStore) -> None:
    old, new = _pages(2000), _pages(1999)
    write_table(s3_store, "k", old)
    store: Any = _Meanwhile(s3_store, lambda: write_table(s3_store, "k", new))
    assert read_rows_as(store, "k", new.schema, [5]).equals(new.take([5]))
