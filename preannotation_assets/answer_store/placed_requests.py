"""Where the answers to one part of the chunks are, as a file of the lake that a task reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from preannotation_assets.answer_store.index import IndexedAnswer
from preannotation_assets.contracts import COLLECTING_PLAN
from preannotation_assets.lake import ObjectStore, read_table_as, write_table

__all__ = ["PlacedRequest", "read_placed", "write_placed"]

_OF_THE_REQUEST: Final = (
    "doc_id",
    "page_num",
    "chunk_index",
    "pass_number",
    "row",
    "start",
    "end",
    "request_key",
)


@dataclass(frozen=True, slots=True)
class PlacedRequest:
    """A request that stands for row ``row`` of the part in one pass, and where its answer is.

    ``start`` and ``end`` are code points of the page. ``model`` names whose answer stands, where two models
    were asked.
    """

    answer: IndexedAnswer
    model: str | None
    doc_id: str
    page_num: int
    chunk_index: int
    pass_number: int
    row: int
    start: int
    end: int
    request_key: str


def write_placed(store: ObjectStore, key: str, placed: Sequence[PlacedRequest]) -> None:
    """Writes the requests of one part, pass after pass, each in the order of the chunks.

    Raises:
        StorageError: the lake cannot be written.
    """
    rows = [
        {
            **{name: getattr(request, name) for name in _OF_THE_REQUEST},
            "status": request.answer.status,
            "answered_at": request.answer.answered_at,
            "file": request.answer.file,
            "file_row": request.answer.row,
            "model": request.model,
        }
        for request in placed
    ]
    write_table(store, key, pa.Table.from_pylist(rows, schema=COLLECTING_PLAN))


def read_placed(store: ObjectStore, key: str) -> list[PlacedRequest]:
    """The requests as they were written; of their answers not what they were split into.

    Raises:
        StorageError: the lake cannot be read.
    """
    table = read_table_as(store, key, COLLECTING_PLAN)
    times = table["answered_at"].cast(pa.int64())
    columns = table.set_column(table.schema.get_field_index("answered_at"), "answered_at", times).columns
    values = zip(*(column.to_pylist() for column in columns), strict=True)
    return [
        PlacedRequest(IndexedAnswer(status, answered_at, file, file_row, ()), model, *request)
        for *request, status, answered_at, file, file_row, model in values
    ]
