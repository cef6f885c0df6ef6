"""The responses of experts, from the lake or as the warehouse gives them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from preannotation_assets.contracts import RESPONSES
from preannotation_assets.errors import DamagedObjectError
from preannotation_assets.evaluation.pages import PageKey
from preannotation_assets.evaluation.responses import Response
from preannotation_assets.extraction.segments import Mark
from preannotation_assets.lake import ObjectStore, Row, conform, read_table
from preannotation_assets.lake.layout import DatasetLayout, cure_of_damage

__all__ = ["lake_responses", "responses_by_page"]

_NO_OFFSET: Final = -1
_MOST_OFFSET: Final = 2**31 - 1
# A span of which something is missing: on no page, so the response is counted as one with such a span.
_NOWHERE: Final = Mark(_NO_OFFSET, _NO_OFFSET, "")
_TIME: Final = RESPONSES.field("submitted_at")
_SPANS: Final = RESPONSES.field("spans")
_FIRST: Final = pa.scalar(datetime.min.replace(tzinfo=UTC), _TIME.type)
_LAST: Final = pa.scalar(datetime.max.replace(tzinfo=UTC), _TIME.type)


def lake_responses(store: ObjectStore, layout: DatasetLayout) -> pa.Table | None:
    """All rows of the Parquet files of a dataset's responses; None where there is no such file.

    Raises:
        DamagedObjectError: a file is no Parquet, or has other columns.
        StorageError: the lake cannot be read.
    """
    keys = sorted(entry.key for entry in store.list(f"{layout.responses}/") if entry.key.endswith(".parquet"))
    tables = [_conformed(read_table(store, key), store.uri(key), cure_of_damage(key)) for key in keys]
    return pa.concat_tables(tables) if tables else None


def responses_by_page(table: pa.Table, place: str) -> Mapping[PageKey, list[Response]]:
    """The responses by page; ``place`` is where the table comes from, for errors.

    Raises:
        DamagedObjectError: a column is missing, or of another type.
    """
    found: defaultdict[PageKey, list[Response]] = defaultdict(list)
    whole = _conformed(table, place, "make the columns as docs/argilla-export.md says")
    for batch in whole.to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            response = _response(row)
            found[response.page].append(response)
    return found


def _conformed(table: pa.Table, place: str, cure: str) -> pa.Table:
    """The table in the types of the contract; a time without a zone is UTC, any zone is the same instant.

    A time that no calendar has, as DuckDB's infinity, is unknown, and an offset that no page has is none.
    Every column must be there: without spans nobody knows what was reviewed, without times what is latest.
    """
    for name in RESPONSES.names:
        if name not in table.schema.names:
            raise DamagedObjectError(f"{place} lacks the column {name}", cure)
    plain = {name: _decoded(table.column(name)) for name in table.schema.names if name in RESPONSES.names}
    if pa.types.is_timestamp(plain[_TIME.name].type):
        plain[_TIME.name] = _known_times(plain[_TIME.name])
    plain[_SPANS.name] = _narrow_spans(plain[_SPANS.name], place, cure)
    return conform(pa.table(plain), RESPONSES, place, cure)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values of a dictionary, as DuckDB gives an ENUM and pandas a category; others as they are."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _known_times(column: pa.ChunkedArray) -> pa.ChunkedArray:
    times = column.cast(_TIME.type, safe=False)
    known = pc.and_(pc.greater_equal(times, _FIRST), pc.less_equal(times, _LAST))
    return pc.if_else(known, times, None)


def _narrow_spans(column: pa.ChunkedArray, place: str, cure: str) -> pa.ChunkedArray:
    """Lists of spans with the contract's fields alone; what is no list of structs is left as it is."""
    kind = column.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if not is_list or not pa.types.is_struct(kind.value_type):
        return column
    fields = [field.name for field in _SPANS.type.value_type]
    for name in fields:
        if len(kind.value_type.get_all_field_indices(name)) != 1:
            raise DamagedObjectError(f"{place} has not one field {name} in the column {_SPANS.name}", cure)
    return pa.chunked_array([_narrow_lists(chunk, fields) for chunk in column.chunks or [pa.array([], kind)]])


def _narrow_lists(lists: pa.Array, fields: Sequence[str]) -> pa.Array:
    spans = lists.flatten()
    narrow = [_narrow(pc.struct_field(spans, name)) for name in fields]
    marks = pa.StructArray.from_arrays(narrow, fields, mask=spans.is_null())
    lengths = pc.fill_null(pc.list_value_length(lists), 0).cast(pa.int64())
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths)])
    return pa.LargeListArray.from_arrays(offsets, marks, mask=lists.is_null())


def _narrow(values: pa.Array) -> pa.Array:
    """A field of spans; an offset that is too great for the contract's type is on no page."""
    if pa.types.is_dictionary(values.type):
        return values.cast(values.type.value_type)
    if not pa.types.is_integer(values.type):
        return values
    # Unsafely: what is too great for 64 bits comes out negative.
    offsets = values.cast(pa.int64(), safe=False)
    is_kept = pc.and_(pc.greater_equal(offsets, 0), pc.less_equal(offsets, _MOST_OFFSET))
    return pc.if_else(is_kept, offsets, _NO_OFFSET).cast(pa.int32())


def _response(row: Row) -> Response:
    spans = row["spans"]
    # Null is that the question was not answered, which is not the same as that nothing is there.
    marks = (_NOWHERE,) if spans is None else tuple(map(_mark, spans))
    return Response(
        row["doc_id"],
        row["page_num"],
        row["text_sha256"],
        row["annotator"],
        row["status"],
        row["submitted_at"],
        marks,
    )


def _mark(span: Row | None) -> Mark:
    if span is None or None in span.values():
        return _NOWHERE
    return Mark(span["start"], span["end"], span["label"])
