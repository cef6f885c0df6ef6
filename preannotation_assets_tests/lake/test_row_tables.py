"""Rows with a value that no column holds are left out; what is no fault of a row is told."""

from typing import Any

import pyarrow as pa
import pytest

from preannotation_assets.lake import table_of_rows

SCHEMA = pa.schema([pa.field("count", pa.int32(), nullable=False), pa.field("text", pa.string())])


def test_rows_that_do_not_fit_are_left_out_and_named() -> None:
    rows = [
        {"count": 1, "text": "a"},
        {"count": 2**31, "text": "a"},
        {"count": None, "text": "a"},
        {"count": 2, "text": "half of a pair \ud83d"},
        {"count": 3, "text": object()},
        {"count": 4, "text": None},
    ]
    table, unfit = table_of_rows(rows, SCHEMA)
    assert table.to_pylist() == [rows[0], rows[5]]
    assert unfit == {1, 2, 3, 4}


class _Exhausting(dict[str, Any]):
    """A row for which there is no memory."""

    def _raise(self, *_: Any) -> Any:
        raise pa.ArrowMemoryError("malloc of size 64 failed")

    get = __getitem__ = __contains__ = _raise


def test_a_lack_of_memory_is_not_taken_for_rows_that_do_not_fit() -> None:
    with pytest.raises(MemoryError):
        table_of_rows([{"count": 1, "text": "a"}, _Exhausting()], SCHEMA)
