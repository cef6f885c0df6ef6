"""What a report shows, read from the lake page by page: one part of each table is held at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import Final

import pyarrow.compute as pc

from preannotation_assets.contracts import GROUNDINGS, PAGES
from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.lake import ObjectStore, Row, read_table_as
from preannotation_assets.lake.batch import iterate_rows, read_manifest, require_manifest
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import (
    PagesManifest,
    RawModelOutputsManifest,
    SuggestionsManifest,
)
from preannotation_assets.page_lists import in_order, page_place
from preannotation_assets.publishing.aligned_pages import aligned
from preannotation_assets.publishing.page_walk import listed_rows
from preannotation_assets.publishing.published_file import rows_of
from preannotation_assets.publishing.report.data import PageState, RejectedQuote, ReportedPage, ReportedSpan

__all__ = ["Batch", "grounding_rows", "read_batch", "read_pages"]

_SPAN_COLUMNS: Final = ("doc_id", "page_num", "label", "start", "end", "confidence", "text_sha256")
_QUOTE_COLUMNS: Final = ("doc_id", "page_num", "label", "quote", "outcome")


@dataclass(frozen=True, slots=True)
class Batch:
    """The manifests of a published dataset; ``outputs`` are None where there is no manifest of them."""

    layout: DatasetLayout
    pages: PagesManifest
    published: SuggestionsManifest
    outputs: RawModelOutputsManifest | None

    @property
    def groundings(self) -> str:
        """Where the quotes lie of which the published rows were made."""
        return self.layout.groundings(self.published.input_version)


def read_batch(store: ObjectStore, dataset: str) -> Batch:
    """The manifests.

    Raises:
        BatchError: the dataset is not materialized.
        StorageError: the lake cannot be read.
    """
    layout = DatasetLayout(dataset)
    return Batch(
        layout,
        require_manifest(store, layout.stage_manifest("pages"), PagesManifest, dataset, "pages"),
        require_manifest(store, layout.published_manifest, SuggestionsManifest, dataset, "suggestions"),
        read_manifest(store, layout.stage_manifest("raw_model_outputs"), RawModelOutputsManifest),
    )


def read_pages(store: ObjectStore, batch: Batch, published: Path) -> Iterator[ReportedPage]:
    """Every page of the snapshot, and every page that failed before it could be in one, in their order.

    ``published`` is the published Parquet as a local file. Spans are shown on the text that they are of only.

    Raises:
        StorageError: the lake cannot be read.
        VerificationError: the Parquet has other columns than the contract, or cannot be read.
    """
    listed = in_order(batch.published.failed_pages)
    unnumbered = (_unread(page.doc_id, None, page.reason) for page in listed if page.page_num is None)
    return merge(_numbered(store, batch, published), unnumbered, key=page_place)


def _numbered(store: ObjectStore, batch: Batch, published: Path) -> Iterator[ReportedPage]:
    """All but those without a number."""
    snapshot = iterate_rows(
        store,
        batch.layout.stage("pages", batch.pages.version),
        len(batch.pages.part_rows),
        PAGES,
        PAGES.names,
    )
    spans = rows_of(published, batch.layout.dataset, _SPAN_COLUMNS)
    quotes = _rejected_rows(store, batch)
    without_spans = listed_rows(batch.published.pages_without_spans)
    failed_pages = listed_rows(batch.published.failed_pages)
    for key, (of_snapshot, of_page, rejected, without, failed) in aligned(
        snapshot, spans, quotes, without_spans, failed_pages
    ):
        if not of_snapshot:
            yield from (_unread(*key, row["reason"]) for row in failed)
            continue
        page, reason = of_snapshot[0], failed[-1]["reason"] if failed else None
        marked = [row for row in of_page if row["text_sha256"] == page["text_sha256"]]
        yield ReportedPage(
            page["doc_id"],
            page["page_num"],
            _state(page, reason, marked, without),
            page["text"],
            [ReportedSpan(row["start"], row["end"], row["label"], row["confidence"]) for row in marked],
            [RejectedQuote(row["label"], row["quote"], row["outcome"]) for row in rejected],
            reason,
        )


def _state(page: Row, reason: str | None, marked: list[Row], without: list[Row]) -> PageState:
    if reason is not None:
        return PageState.FAILED
    if marked:
        return PageState.MARKED
    same = any(said["text_sha256"] == page["text_sha256"] for said in without)
    return PageState.WITHOUT_SPANS if same else PageState.CHANGED


def _unread(doc_id: str, page_num: int | None, reason: str) -> ReportedPage:
    return ReportedPage(doc_id, page_num, PageState.FAILED, "", (), (), reason)


def _rejected_rows(store: ObjectStore, batch: Batch) -> Iterator[Row]:
    """Those that became no suggestion: few of all, so the others are left out before they are rows."""
    for part in range(_grounding_parts(store, batch)):
        quotes = read_table_as(store, part_key(batch.groundings, part), GROUNDINGS, _QUOTE_COLUMNS)
        yield from quotes.filter(pc.not_equal(quotes["outcome"], QuoteOutcome.KEPT.value)).to_pylist()


def grounding_rows(store: ObjectStore, batch: Batch, columns: Sequence[str]) -> Iterator[Row]:
    """The quotes of which the published rows were made, sorted by page; one part is held at a time.

    Raises:
        StorageError: the lake cannot be read.
    """
    return iterate_rows(store, batch.groundings, _grounding_parts(store, batch), GROUNDINGS, columns)


def _grounding_parts(store: ObjectStore, batch: Batch) -> int:
    return sum(entry.key.endswith(".parquet") for entry in store.list(f"{batch.groundings}/"))
