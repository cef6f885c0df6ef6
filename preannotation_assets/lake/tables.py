"""Parquet tables and JSON documents in an object store, written whole.

pyarrow commits what was written so far when an exception leaves an open Parquet writer, so a table is
first written to a local temporary file (in ``TMPDIR``) and only then uploaded.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from preannotation_assets.errors import (
    ConflictError,
    DamagedObjectError,
    ObjectNotFoundError,
    StorageError,
)
from preannotation_assets.lake.column_ranges import column_ranges
from preannotation_assets.lake.evolution import conform
from preannotation_assets.lake.json_documents import Gather, json_pieces, read_document
from preannotation_assets.lake.layout import cure_of_damage, cure_of_loss
from preannotation_assets.lake.objects import ObjectEntry, ObjectStore
from preannotation_assets.lake.reading import ObjectReader
from preannotation_assets.temporary_folders import nameless_file, temporary_file

__all__ = [
    "Row",
    "TableStat",
    "read_json",
    "read_json_lists",
    "read_listed_table",
    "read_rows_as",
    "read_table",
    "read_table_as",
    "write_batches",
    "write_json",
    "write_table",
]

Row: TypeAlias = Mapping[str, Any]
"""A row of a table: its values by the names of the columns."""

_FILE = "table.parquet"
_DOCUMENT = "document.json"
_COMPRESSION = "zstd"
_GROUP_ROWS = 50_000
_GROUP_BYTES = 64 * 1024**2
# Takes the columns that a file has and returns those to read, in their order.
_Choose: TypeAlias = Callable[[Sequence[str]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class TableStat:
    """The size of a written table: rows, and bytes of the Parquet file."""

    rows: int
    bytes: int


def read_table(store: ObjectStore, key: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet object, all columns or the named ones in that order.

    Of named columns only these and the footer are fetched; without names the whole object is, and
    compared with the SHA-256 it was written with.

    Raises:
        ObjectNotFoundError: There is no such object.
        DamagedObjectError: It is not Parquet, or lacks a column.
    """
    if columns is None:
        return _read_whole(store, key, list)

    def present(names: Sequence[str]) -> Sequence[str]:
        missing = sorted(set(columns) - set(names))
        if missing:
            raise DamagedObjectError(
                f"{store.uri(key)} lacks the columns {', '.join(missing)}", cure_of_damage(key)
            )
        return columns

    return _read_projection(store, key, present)


def read_listed_table(store: ObjectStore, entry: ObjectEntry) -> pa.Table:
    """Read a Parquet object that a listing showed and that nobody replaces, whole.

    Raises:
        ObjectNotFoundError: It is gone.
        DamagedObjectError: It is not Parquet.
        StorageError: It is larger than the listing said.
    """
    with _missing(entry.key):
        content = store.read(entry.key, entry.size)
    return _decode(pa.BufferReader(content), list, _place(store, entry.key))


def read_table_as(
    store: ObjectStore, key: str, schema: pa.Schema, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read a Parquet object of an older or newer schema as one of ``schema``; see ``conform``.

    The result has all columns of ``schema`` or the named ones, in that order and in its types. What is
    fetched is as with ``read_table``.

    Raises:
        KeyError: ``schema`` lacks a named column.
        ObjectNotFoundError: There is no such object.
        DamagedObjectError: It is not Parquet, or a column is missing or of another type where it may not be.
    """
    wanted = (
        schema if columns is None else pa.schema([schema.field(name) for name in columns], schema.metadata)
    )

    def present(names: Sequence[str]) -> Sequence[str]:
        return [name for name in wanted.names if name in names]

    table = _read_whole(store, key, present) if columns is None else _read_projection(store, key, present)
    return conform(table, wanted, store.uri(key), cure_of_damage(key))


def read_rows_as(store: ObjectStore, key: str, schema: pa.Schema, rows: Sequence[int]) -> pa.Table:
    """Read the rows of these numbers, from 0, in that order, as ones of ``schema``; see ``conform``.

    Only the row groups that have one of them and the footer are fetched.

    Raises:
        ObjectNotFoundError: There is no such object.
        DamagedObjectError: It is not Parquet, has fewer rows, or a column is missing or of another type where
            it may not be.
    """

    def present(names: Sequence[str]) -> Sequence[str]:
        return [name for name in schema.names if name in names]

    try:
        with _missing(key), store.open(key) as source:
            table = _decode(source, present, _place(store, key), rows)
    except ConflictError:
        table = _decode(pa.BufferReader(store.read(key)), present, _place(store, key), rows)
    return conform(table, schema, store.uri(key), cure_of_damage(key))


def _read_projection(store: ObjectStore, key: str, choose: _Choose) -> pa.Table:
    try:
        with _missing(key), store.open(key) as source:
            return _decode(source, choose, _place(store, key))
    except ConflictError:
        # Replaced between two requests: one request cannot meet that.
        return _read_whole(store, key, choose)


def _read_whole(store: ObjectStore, key: str, choose: _Choose) -> pa.Table:
    with _missing(key):
        content = store.read(key)
    return _decode(pa.BufferReader(content), choose, _place(store, key))


@contextmanager
def _missing(key: str) -> Iterator[None]:
    """Says of an object that is gone what to do."""
    try:
        yield
    except ObjectNotFoundError as error:
        raise ObjectNotFoundError(error.problem, cure_of_loss(key)) from None


class _Place(NamedTuple):
    """Where a table is, and what to do where it is damaged."""

    uri: str
    cure: str


def _place(store: ObjectStore, key: str) -> _Place:
    return _Place(store.uri(key), cure_of_damage(key))


def _decode(
    source: ObjectReader | pa.BufferReader,
    choose: _Choose,
    place: _Place,
    rows: Sequence[int] | None = None,
) -> pa.Table:
    """Decode the chosen columns, whose bytes are fetched together where they lie close together.

    ``rows`` are the numbers of the rows that are meant; None means all. This thread alone reads and decodes:
    Arrow's own threads may still hold something of Python's when all is read, and abort the interpreter that
    ends meanwhile (apache/arrow#34314, apache/arrow#50482).
    """
    try:
        with pq.ParquetFile(source, pre_buffer=False) as file:
            names = file.schema_arrow.names
            chosen = list(choose(names))
            twice = sorted({name for name in chosen if names.count(name) > 1})
            if twice:
                raise DamagedObjectError(
                    f"{place.uri} has more than one column {', '.join(twice)}", place.cure
                )
            groups, places = _places(file, rows)
            if isinstance(source, ObjectReader):
                source.prepare(column_ranges(file.metadata, chosen, groups))
            found = file.read_row_groups(groups, columns=chosen, use_threads=False)
            # Decoding believes what the file says of offsets and of texts being UTF-8.
            found.validate(full=True)
            return (found if places is None else found.take(places)).select(chosen)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        # Arrow's words may quote the file.
        DamagedObjectError(f"{place.uri} is not a readable Parquet file", place.cure).raise_alone()


def _places(file: pq.ParquetFile, rows: Sequence[int] | None) -> tuple[Sequence[int], pa.Array | None]:
    """The row groups that have one of these rows, and where they are among the rows of these groups.

    A row behind the last one is left out of reach, for ``take`` to refuse. None means all rows as they come.
    """
    if rows is None:
        return range(file.num_row_groups), None
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    starts = [0, *accumulate(sizes)]
    group_of = {row: bisect_right(starts, row) - 1 for row in rows}
    groups = sorted(set(group_of.values()) & set(range(len(sizes))))
    kept = dict(zip(groups, accumulate([0, *(sizes[group] for group in groups)]), strict=False))
    places = [
        kept[group_of[row]] + row - starts[group_of[row]] if group_of[row] in kept else starts[-1]
        for row in rows
    ]
    return groups, pa.array(places, pa.int64())


def write_table(store: ObjectStore, key: str, table: pa.Table, *, row_group_size: int = _GROUP_ROWS) -> int:
    """Write a table as one Parquet object (zstd) and return its size in bytes.

    Raises:
        StorageError: The upload failed; the object is as it was.
    """
    with temporary_file(_FILE) as path:
        pq.write_table(table, path, row_group_size=row_group_size, compression=_COMPRESSION)
        store.upload(key, path)
        return path.stat().st_size


def write_batches(
    store: ObjectStore, key: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> TableStat:
    """Write a stream of batches as one Parquet object (zstd), whole or not at all.

    At most 50,000 rows or 64 MiB of Arrow data and one more batch are held in memory, and make one
    row group. Whatever ``batches`` raises passes through, and nothing is uploaded.

    Raises:
        StorageError: A batch has another schema, or the upload failed; the object is as it was.
    """
    rows = 0
    with temporary_file(_FILE) as path:
        with pq.ParquetWriter(path, schema, compression=_COMPRESSION) as writer:
            for group in _row_groups(_checked(batches, schema, store.uri(key)), schema):
                writer.write_table(group, row_group_size=max(1, group.num_rows))
                rows += group.num_rows
        store.upload(key, path)
        return TableStat(rows, path.stat().st_size)


def read_json(store: ObjectStore, key: str) -> dict[str, object] | None:
    """Read a JSON object, or None where there is no such key.

    Raises:
        DamagedObjectError: It is not a JSON object.
    """
    try:
        content = store.read(key)
    except ObjectNotFoundError:
        return None
    return _json_object(_place(store, key), lambda: json.loads(content))


def read_json_lists(store: ObjectStore, key: str, lists: Mapping[str, Gather]) -> dict[str, object] | None:
    """The same, where each of ``lists`` that is one is what its function makes of the items.

    The document is read from a temporary file a piece at a time, and is never whole in memory.

    Raises:
        DamagedObjectError: It is not a JSON object.
        StorageError: There is no room for temporary files.
    """
    with nameless_file() as file:
        try:
            store.read_into(key, file)
        except ObjectNotFoundError:
            return None
        file.seek(0)
        return _json_object(_place(store, key), lambda: read_document(file, lists))


def _json_object(place: _Place, read: Callable[[], object]) -> dict[str, object]:
    try:
        value = read()
    except (ValueError, RecursionError):
        # The decoder's exception holds the document.
        DamagedObjectError(f"{place.uri} is not JSON", place.cure).raise_alone()
    if not isinstance(value, dict):
        raise DamagedObjectError(f"{place.uri} is not a JSON object", place.cure)
    return value


def write_json(store: ObjectStore, key: str, value: Mapping[str, object]) -> None:
    """Write a JSON object: UTF-8, keys sorted, indented by 2, with a newline at the end.

    Members that are iterators are written as lists, piece by piece.

    Raises:
        TypeError: A value has no form in JSON.
        ValueError: A number is infinite or not a number.
        StorageError: The upload failed, or there is no room for temporary files; the object is as it was.
    """
    with temporary_file(_DOCUMENT) as path:
        with path.open("wb") as file:
            file.writelines(piece.encode() for piece in json_pieces(value))
            file.write(b"\n")
        store.upload(key, path)


def _checked(batches: Iterable[pa.RecordBatch], schema: pa.Schema, uri: str) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if not batch.schema.equals(schema):
            raise StorageError(f"a batch for {uri} has another schema", _difference(schema, batch.schema))
        yield batch


def _difference(schema: pa.Schema, other: pa.Schema) -> str:
    expected = {f"{field.name} {field.type}" for field in schema}
    found = {f"{field.name} {field.type}" for field in other}
    different = sorted(expected ^ found)
    return f"it differs in {', '.join(different)}" if different else "its order or nullability differs"


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Gather small batches into row groups."""
    gathered: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        gathered.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(gathered, schema)
            gathered, rows, size = [], 0, 0
    if gathered:
        yield pa.Table.from_batches(gathered, schema)
