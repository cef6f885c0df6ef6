"""The view of what experts answered."""

from collections.abc import Callable
from typing import Final

import duckdb
import pyarrow as pa

from preannotation_assets.contracts import RESPONSES
from preannotation_assets.warehouse.connecting import ROWS_A_BATCH, batches, named_errors

__all__ = ["RESPONSES_VIEW", "read_responses"]

RESPONSES_VIEW: Final = "vw_argilla_responses"
_TIME: Final = "submitted_at"


def read_responses(
    evaluate: Callable[[str], duckdb.DuckDBPyConnection], view: str, condition: str
) -> pa.Table:
    """The rows of the view that obey a condition over doc_id, in no order, in the view's own types.

    A time without a zone is UTC.

    Raises:
        WarehouseError: the view cannot be evaluated, or lacks a column.
    """
    columns = ", ".join(
        f"epoch_us({_TIME}) AS {_TIME}" if name == _TIME else name for name in RESPONSES.names
    )
    query = f"SELECT {columns} FROM (SELECT * REPLACE (doc_id COLLATE C AS doc_id) FROM {view}) WHERE ({condition})"  # noqa: S608,E501
    with named_errors("the responses cannot be read"):
        reader = evaluate(query).to_arrow_reader(ROWS_A_BATCH)
    found = pa.Table.from_batches(batches(reader), reader.schema)
    place = found.schema.get_field_index(_TIME)
    at = found.column(place).cast(RESPONSES.field(_TIME).type)
    return found.set_column(place, RESPONSES.field(_TIME), at)
