"""The view of what experts answered."""

from collections.abc import Callable
from typing import Final

import duckdb
import pyarrow as pa

from preannotation_assets.contracts import RESPONSES
from preannotation_assets.warehouse.connecting import ROWS_A_BATCH, batches, named_errors

__all__ = ["RESPONSES_VIEW", "read_responses"]

RESPONSES_VIEW: Final = "vw_argilla_responses"
_PROBLEM: Final = "the responses cannot be read"


def read_responses(
    evaluate: Callable[[str], duckdb.DuckDBPyConnection], view: str, condition: str
) -> pa.Table:
    """The rows of the view that obey a condition over doc_id, in no order, in the view's own types.

    Raises:
        WarehouseError: the view cannot be evaluated, or lacks a column.
    """
    compared = f"(SELECT * REPLACE (doc_id COLLATE C AS doc_id) FROM {view})"  # noqa: S608
    query = f"SELECT {', '.join(RESPONSES.names)} FROM {compared} WHERE ({condition})"  # noqa: S608
    with named_errors(_PROBLEM):
        reader = evaluate(query).to_arrow_reader(ROWS_A_BATCH)
    return pa.Table.from_batches(batches(reader, _PROBLEM), reader.schema)
