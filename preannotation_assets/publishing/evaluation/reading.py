"""What was published of every page of the snapshot; one part of each table is held at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from preannotation_assets.contracts import PAGES
from preannotation_assets.evaluation.pages import GivenQuote, SuggestedSpan
from preannotation_assets.extraction.calibrated import ConfidenceParts
from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.lake import ObjectStore, Row
from preannotation_assets.lake.batch import iterate_rows
from preannotation_assets.publishing.aligned_pages import aligned
from preannotation_assets.publishing.page_walk import listed_rows
from preannotation_assets.publishing.published_file import rows_of
from preannotation_assets.publishing.report.reading import Batch, grounding_rows

__all__ = ["PublishedPage", "confidence_parts", "given_quote", "published_pages", "suggested_span"]

_SPAN_COLUMNS: Final = ("doc_id", "page_num", "label", "start", "end", "confidence", "text_sha256")
_QUOTE_COLUMNS: Final = ("doc_id", "page_num", "label", "quote", "outcome", "start", "end")


@dataclass(frozen=True, slots=True)
class PublishedPage:
    """A page of the snapshot and what was published of it.

    ``is_current`` says whether the publication is of this text; where it is not, there are no spans.
    ``failure`` is the reason why the page failed.
    """

    doc_id: str
    page_num: int
    text: str
    text_sha256: str
    is_current: bool
    suggested: tuple[SuggestedSpan, ...]
    quotes: tuple[GivenQuote, ...]
    failure: str | None


def published_pages(store: ObjectStore, batch: Batch, published: Path) -> Iterator[PublishedPage]:
    """Every page of the snapshot in its order; ``published`` is the published Parquet as a local file.

    Raises:
        StorageError: the lake cannot be read.
        VerificationError: the Parquet has other columns than the contract, or cannot be read.
    """
    folder = batch.layout.stage("pages", batch.pages.version)
    pages = iterate_rows(store, folder, len(batch.pages.part_rows), PAGES)
    spans = rows_of(published, batch.layout.dataset, _SPAN_COLUMNS)
    quotes_of_all = grounding_rows(store, batch, _QUOTE_COLUMNS)
    without_spans = listed_rows(batch.published.pages_without_spans)
    failed_pages = listed_rows(batch.published.failed_pages)
    for key, (of_snapshot, of_page, quotes, without, failed) in aligned(
        pages, spans, quotes_of_all, without_spans, failed_pages
    ):
        if not of_snapshot:
            continue
        page = of_snapshot[0]
        sha256 = page["text_sha256"]
        marked = [row for row in of_page if row["text_sha256"] == sha256]
        yield PublishedPage(
            *key,
            page["text"],
            sha256,
            bool(marked or failed) or any(said["text_sha256"] == sha256 for said in without),
            tuple(map(suggested_span, marked)),
            tuple(map(given_quote, quotes)),
            failed[0]["reason"] if failed else None,
        )


def suggested_span(row: Row) -> SuggestedSpan:
    """What a row of contracts.SUGGESTIONS suggests."""
    return SuggestedSpan(row["start"], row["end"], row["label"], row["confidence"])


def given_quote(row: Row) -> GivenQuote:
    """The quote of a row of contracts.GROUNDINGS."""
    place = None if row["start"] is None or row["end"] is None else (row["start"], row["end"])
    return GivenQuote(row["label"], row["quote"], QuoteOutcome(row["outcome"]), place)


def confidence_parts(row: Row) -> ConfidenceParts:
    """What the confidence of a row of contracts.GROUNDINGS was made of; it must have one."""
    return ConfidenceParts(
        label=row["label"],
        confidence=row["confidence"],
        token_probability=row["token_probability"],
        lowest_token_probability=row["lowest_token_probability"],
        similarity=row["similarity"],
        agreement=row["agreement"],
        verdict=row["value_verdict"],
    )
