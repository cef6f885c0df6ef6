"""Where the answers to a part are comes back from the lake as it was written."""

from pathlib import Path

from preannotation_assets.answer_store.index import IndexedAnswer
from preannotation_assets.answer_store.placed_requests import PlacedRequest, read_placed, write_placed
from preannotation_assets.lake import StoreLocation, open_store


def test_requests_come_back_in_their_order_each_with_its_answer(tmp_path: Path) -> None:
    store = open_store(StoreLocation(str(tmp_path)))
    placed = [
        PlacedRequest(
            IndexedAnswer(status, 1_700_000_000_000_000 + row, f"answers/run/{row % 2}.parquet", 7 * row, ()),
            model,
            f"d{row}",
            row + 1,
            row % 3,
            number,
            row,
            10 * row,
            10 * row + 9,
            f"key {row}",
        )
        for number, row, status, model in (
            (1, 4, "answered", "small"),
            (1, 2, "failed", None),
            (2, 4, "answered", "large"),
        )
    ]
    write_placed(store, "plans/part.parquet", placed)
    assert read_placed(store, "plans/part.parquet") == placed
