"""Which page experts had best review first: where the calibration expects most corrections.

Their decisions there change most of what is published, and tell the next calibration most.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from enum import StrEnum
from itertools import chain, groupby, islice
from math import fsum
from typing import Final

import pyarrow as pa

from preannotation_assets.contracts import REVIEW_ORDER
from preannotation_assets.extraction.calibrated import Calibration
from preannotation_assets.lake import ObjectStore, Row, write_batches
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.lake.local_database import LocalDatabase, Value
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.page_lists import page_rows
from preannotation_assets.publishing.aligned_pages import page_key
from preannotation_assets.publishing.published_file import downloaded, rows_of

__all__ = ["ReviewReason", "update_review_order"]

_COLUMNS: Final = ("doc_id", "page_num", "text_sha256", "confidence")
_AN_ACTION: Final = 1.0
_BATCH_ROWS: Final = 5_000
# On disk, in the order of the ranks; doc_ids are compared by code points.
_PAGES: Final = """
    CREATE TABLE pages (
        place INTEGER, behind REAL, doc_id TEXT, page_num INTEGER,
        text_sha256 TEXT, suggestions INTEGER, expected_actions REAL, reason TEXT,
        PRIMARY KEY (place, behind, doc_id, page_num)
    ) WITHOUT ROWID
"""
_ADD: Final = "INSERT OR IGNORE INTO pages VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_KEPT: Final = ("doc_id", "page_num", "text_sha256", "suggestions", "expected_actions", "reason")
_IN_ORDER: Final = """
    SELECT doc_id, page_num, text_sha256, suggestions, expected_actions, reason FROM pages
    ORDER BY place, behind, doc_id, page_num
"""


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
        StorageError: the lake cannot be read or written, or there is no room for temporary files.
        VerificationError: the published Parquet is not the one that its manifest names, or cannot be read.
    """
    if calibration is None:
        if store.stat(layout.review_order) is not None:
            store.delete([layout.review_order])
        return
    with closing(LocalDatabase(_PAGES)) as pages, downloaded(store, layout, published) as path:
        marked = _marked(rows_of(path, layout.dataset, _COLUMNS), calibration)
        pages.execute_each(_ADD, map(_ordered, chain(marked, _unmarked(published))))
        write_batches(store, layout.review_order, REVIEW_ORDER, _batches(pages, published))


def _ordered(page: Row) -> tuple[Value, ...]:
    reason, expected = ReviewReason(page["reason"]), page.get("expected_actions")
    return (
        list(ReviewReason).index(reason),
        -(expected or 0.0),
        page["doc_id"],
        page["page_num"],
        page.get("text_sha256"),
        page["suggestions"],
        expected,
        reason.value,
    )


def _batches(pages: LocalDatabase, published: SuggestionsManifest) -> Iterator[pa.RecordBatch]:
    """The pages by rank, some at a time."""
    ranked = enumerate(pages.each(_IN_ORDER), start=1)
    while some := list(islice(ranked, _BATCH_ROWS)):
        rows = [
            {
                **dict(zip(_KEPT, page, strict=True)),
                "rank": rank,
                "model": published.model,
                "model_version": published.model_version,
            }
            for rank, page in some
        ]
        yield pa.RecordBatch.from_pylist(rows, schema=REVIEW_ORDER)


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
    for page in page_rows(published.pages_without_spans):
        yield page | {"suggestions": 0, "reason": ReviewReason.NOTHING_SUGGESTED.value}
    for failed in published.failed_pages:
        # Without a number there is no such page.
        if failed.page_num is not None:
            key = {"doc_id": failed.doc_id, "page_num": failed.page_num}
            yield key | {"suggestions": 0, "reason": ReviewReason.FAILED.value}
