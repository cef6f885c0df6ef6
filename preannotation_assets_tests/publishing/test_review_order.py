"""Which page comes first, and that an order is there only where something is known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from shared.calibrations import halving
from shared.published_dataset import LAYOUT, Dataset, good_rows, page_rows

from preannotation_assets.contracts import REVIEW_ORDER
from preannotation_assets.lake import read_table
from preannotation_assets.manifests import FailedPage
from preannotation_assets.publishing.review_order import update_review_order

PAGES = [(row["doc_id"], row["page_num"]) for row in page_rows()]


def order_of(
    tmp_path: Path, confidences: Mapping[int, list[float | None]], **changes: Any
) -> list[dict[str, Any]]:
    """The order of a publication with such confidences on the pages."""
    dataset = Dataset(tmp_path)
    rows = []
    for row in good_rows():
        left = confidences.get(PAGES.index((row["doc_id"], row["page_num"])), [])
        if left:
            rows.append(row | {"confidence": left.pop(0)})
    manifest = dataset.publish(rows, **changes).manifest
    update_review_order(dataset.plain_store, LAYOUT, manifest, halving())
    table = read_table(dataset.plain_store, LAYOUT.review_order)
    assert table.schema.equals(REVIEW_ORDER)
    return table.to_pylist()


def marked_pages() -> list[int]:
    return sorted({PAGES.index((row["doc_id"], row["page_num"])) for row in good_rows()})


def test_most_corrections_come_first_and_what_is_unknown_after_them(tmp_path: Path) -> None:
    first, second = marked_pages()[:2]
    (other,) = set(range(len(PAGES))) - {first, second}
    found = order_of(tmp_path, {first: [0.9], second: [0.25]})
    assert [(row["rank"], (row["doc_id"], row["page_num"]), row["reason"]) for row in found] == [
        (1, PAGES[second], "corrections_expected"),
        (2, PAGES[first], "sure"),
        (3, PAGES[other], "nothing_suggested"),
    ]
    assert [row["expected_actions"] for row in found] == [pytest.approx(1.5), pytest.approx(0.2), None]
    assert [row["suggestions"] for row in found] == [1, 1, 0]


def test_of_pages_with_one_reason_that_comes_first_on_which_more_is_expected(tmp_path: Path) -> None:
    first, second = marked_pages()[:2]
    for number, (ahead, behind) in enumerate([(first, second), (second, first)]):
        found = order_of(tmp_path / str(number), {ahead: [0.8], behind: [0.9]})
        assert [row["reason"] for row in found[:2]] == ["sure", "sure"]
        assert [(row["doc_id"], row["page_num"]) for row in found[:2]] == [PAGES[ahead], PAGES[behind]]


def test_a_failed_page_is_last_and_has_no_figure(tmp_path: Path) -> None:
    first, second = marked_pages()[:2]
    failed = [FailedPage(doc_id=PAGES[second][0], page_num=PAGES[second][1], reason="timed_out")]
    found = order_of(tmp_path, {first: [None]}, failed_pages=failed)
    assert [row["reason"] for row in found] == ["confidence_unknown", "nothing_suggested", "failed"]
    assert {row["expected_actions"] for row in found} == {None}
    assert found[-1]["text_sha256"] is None


def test_without_a_calibration_there_is_no_order_and_no_older_one(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    manifest = dataset.publish(good_rows()).manifest
    update_review_order(dataset.plain_store, LAYOUT, manifest, None)
    assert dataset.plain_store.stat(LAYOUT.review_order) is None
    update_review_order(dataset.plain_store, LAYOUT, manifest, halving())
    assert dataset.plain_store.stat(LAYOUT.review_order) is not None
    # Loaders read all Parquet beside the suggestions.
    assert not LAYOUT.review_order.startswith(f"{LAYOUT.published}/")
    update_review_order(dataset.plain_store, LAYOUT, manifest, None)
    assert dataset.plain_store.stat(LAYOUT.review_order) is None
