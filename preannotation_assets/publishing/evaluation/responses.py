"""The responses of experts, from the lake or as the warehouse gives them."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from preannotation_assets.contracts import RESPONSES
from preannotation_assets.evaluation.pages import PageKey
from preannotation_assets.evaluation.responses import Response
from preannotation_assets.extraction.segments import Mark
from preannotation_assets.lake import ObjectStore, Row, conform, read_table
from preannotation_assets.lake.layout import DatasetLayout, cure_of_damage

__all__ = ["lake_responses", "responses_by_page"]

# A span of which something is missing: on no page, so the response is counted as one with such a span.
_NOWHERE: Final = Mark(-1, -1, "")
_TIME: Final = RESPONSES.field("submitted_at")
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

    A time that no calendar has, as DuckDB's infinity, is unknown.
    """
    at = table.schema.get_field_index(_TIME.name)
    if at >= 0 and pa.types.is_timestamp(table.schema.field(at).type):
        times = table.column(at).cast(_TIME.type, safe=False)
        known = pc.and_(pc.greater_equal(times, _FIRST), pc.less_equal(times, _LAST))
        table = table.set_column(at, _TIME, pc.if_else(known, times, None))
    return conform(table, RESPONSES, place, cure)


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
