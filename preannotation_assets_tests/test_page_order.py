"""Rows of the view in order, against the plain sort of all of them."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.errors import WarehouseError
from preannotation_assets.extraction.pages import SourceRow
from preannotation_assets.warehouse.page_order import PAGE_COLUMNS, rows_in_order

# Beyond the basic plane too: as UTF-16 they would come before some of it.
NAMES = st.text(st.sampled_from("ab/10\uffee\U0001f6a2é"), max_size=3)
ROWS = st.lists(
    st.builds(
        SourceRow,
        NAMES,
        st.one_of(st.none(), st.integers(-3, 3), st.integers(-(10**30), 10**30)),
        st.one_of(st.none(), st.text(max_size=40)),
        st.one_of(st.none(), st.sampled_from("xyz")),
    ),
    max_size=60,
)
SCHEMA = pa.schema(
    [
        ("doc_id", pa.string()),
        ("page_num", pa.decimal128(38, 0)),
        ("text", pa.string()),
        ("text_sha256", pa.string()),
    ]
)


def batches_of(rows: Sequence[SourceRow], size: int) -> Iterator[pa.RecordBatch]:
    for first in range(0, len(rows), size):
        some = rows[first : first + size]
        columns = [[getattr(row, name) for row in some] for name in PAGE_COLUMNS]
        yield pa.record_batch([pa.array(*each) for each in zip(columns, SCHEMA.types, strict=True)], SCHEMA)


def place(row: SourceRow) -> tuple[str, bool, int]:
    return row.doc_id, row.page_num is None, row.page_num or 0


@given(ROWS, st.integers(1, 10), st.integers(1, 4_000), st.integers(1, 400))
def test_they_come_as_a_stable_sort_has_them(
    rows: list[SourceRow], batch: int, run_bytes: int, block_bytes: int
) -> None:
    assert list(rows_in_order(batches_of(rows, batch), run_bytes, block_bytes)) == sorted(rows, key=place)


@pytest.mark.parametrize("run_bytes", [1, 10**6])
def test_a_row_without_a_document_is_told_before_any_row_is_given(run_bytes: int) -> None:
    rows = [*(SourceRow(name, 1, "qzxw", "h") for name in "ab"), SourceRow(None, 1, "qzxw", "h")]
    with pytest.raises(WarehouseError, match="a row without a doc_id"):
        next(rows_in_order(batches_of(rows, 1), run_bytes))


def test_no_more_than_a_run_is_asked_for_before_it_is_sorted_away() -> None:
    rows = [SourceRow(str(number), 1, "x" * 1_000, "h") for number in range(200)]
    taken: list[int] = []

    def counted() -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(batches_of(rows, 10)):
            taken.append(number)
            yield batch

    before = pa.total_allocated_bytes()
    ordered = rows_in_order(counted(), 50_000, 5_000)
    next(ordered)
    assert len(taken) == 20
    assert pa.total_allocated_bytes() - before < 100_000
