"""Which page experts had best review first: where the calibration expects most corrections.

Their decisions there change most of what is published, and tell the next calibration most.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import groupby
from math import fsum
from typing import Final

import pyarrow as pa

from preannotation_assets.contracts import REVIEW_ORDER
from preannotation_assets.extraction.calibrated import Calibration
from preannotation_assets.lake import ObjectStore, Row, write_table
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.publishing.aligned_pages import page_key
from preannotation_assets.publishing.published_file import downloaded, rows_of

__all__ = ["ReviewReason", "update_review_order"]

_COLUMNS: Final = ("doc_id", "page_num", "text_sha256", "confidence")
_AN_ACTION: Final = 1.0


class ReviewReason(StrEnum):
    """Why a page has its rank, in the order of the ranks."""

    # At least one action is expected.
    CORRECTIONS_EXPECTED = "corrections_expected"
    SURE = "sure"
    # Of none of its suggestions.
    CONFIDENCE_UNKNOWN = "confidence_unknown"
    NOTHING_SUGGESTED = "nothing_suggested"
    # A later run may still suggest something.
    FAILED = "failed"


def update_review_order(
    store: ObjectStore, layout: DatasetLayout, published: SuggestionsManifest, calibration: Calibration | None
) -> None:
    """Writes the order of a publication beside it; without a calibration there is none, nor an older one.

    Raises:
        StorageError: the lake cannot be read or written.
        VerificationError: the published Parquet is not the one that its manifest names, or cannot be read.
    """
    if calibration is None:
        if store.stat(layout.review_order) is not None:
            store.delete([layout.review_order])
        return
    with downloaded(store, layout, published) as path:
        pages = [*_marked(rows_of(path, layout.dataset, _COLUMNS), calibration), *_unmarked(published)]
    made_by = {"model": published.model, "model_version": published.model_version}
    rows = [{**page, "rank": rank, **made_by} for rank, page in enumerate(sorted(pages, key=_order), start=1)]
    write_table(store, layout.review_order, pa.Table.from_pylist(rows, schema=REVIEW_ORDER))


def _marked(rows: Iterable[Row], calibration: Calibration) -> Iterator[Row]:
    for (doc_id, page_num), group in groupby(rows, page_key):
        suggestions = list(group)
        known = [row["confidence"] for row in suggestions if row["confidence"] is not None]
        wrong = fsum(1 - confidence for confidence in known)
        expected = wrong * calibration.correction_actions if known else None
        yield {
            "doc_id": doc_id,
            "page_num": page_num,
            "text_sha256": suggestions[0]["text_sha256"],
            "suggestions": len(suggestions),
            "expected_actions": expected,
            "reason": _reason(expected).value,
        }


def _reason(expected: float | None) -> ReviewReason:
    if expected is None:
        return ReviewReason.CONFIDENCE_UNKNOWN
    return ReviewReason.CORRECTIONS_EXPECTED if expected >= _AN_ACTION else ReviewReason.SURE


def _unmarked(published: SuggestionsManifest) -> Iterator[Row]:
    """Nobody knows how much is to be added to them."""
    for page in published.pages_without_spans:
        yield page.model_dump() | {"suggestions": 0, "reason": ReviewReason.NOTHING_SUGGESTED.value}
    for failed in published.failed_pages:
        # Without a number there is no such page.
        if failed.page_num is not None:
            key = {"doc_id": failed.doc_id, "page_num": failed.page_num}
            yield key | {"suggestions": 0, "reason": ReviewReason.FAILED.value}


def _order(page: Row) -> tuple[int, float, str, int]:
    reason = ReviewReason(page["reason"])
    return (
        list(ReviewReason).index(reason),
        -(page.get("expected_actions") or 0.0),
        page["doc_id"],
        page["page_num"],
    )
