"""Tables made of rows of which one may hold what no column can."""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from preannotation_assets.lake.tables import Row

__all__ = ["table_of_rows"]

# What is raised for a value of another kind, a number out of range, or text that is no Unicode: ArrowInvalid
# and ArrowTypeError are among it, ArrowMemoryError is not.
_UNFIT: Final = (ValueError, TypeError, OverflowError, pa.ArrowNotImplementedError)


def table_of_rows(rows: Sequence[Row], schema: pa.Schema) -> tuple[pa.Table, frozenset[int]]:
    """The rows as a table, and the places of those that are left out because the schema cannot hold them."""
    table = _table(rows, schema)
    if table is not None:
        return table, frozenset()
    fitting = [_table([row], schema) for row in rows]
    unfit = frozenset(place for place, found in enumerate(fitting) if found is None)
    return pa.concat_tables([schema.empty_table(), *filter(None, fitting)]).combine_chunks(), unfit


def _table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table | None:
    try:
        table = pa.Table.from_pylist(list(rows), schema=schema)
    except _UNFIT:
        return None
    is_whole = all(column.nullable or not table[column.name].null_count for column in schema)
    return table if is_whole else None
