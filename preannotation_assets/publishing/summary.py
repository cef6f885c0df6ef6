"""A short account of what is published for a dataset, for a person to read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from preannotation_assets.extraction.empty_answers import PageAnswer
from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.batch import require_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import (
    ChunksManifest,
    PagesManifest,
    RawModelOutputsManifest,
    SuggestionsManifest,
)
from preannotation_assets.publishing.cascade_words import cascade_lines
from preannotation_assets.publishing.distribution import Distribution
from preannotation_assets.publishing.doubts import doubts
from preannotation_assets.publishing.request_account import RequestAccount, read_requests
from preannotation_assets.publishing.shown_ids import shown_id, shown_page

__all__ = ["Summary", "quote_words", "summarize"]

_FAILURES_SHOWN: Final = 10
_WITHOUT_SPANS: Final = {
    PageAnswer.EMPTY: "answered with nothing",
    PageAnswer.REJECTED: "with rejected quotes only",
    PageAnswer.NOT_ASKED: "blank",
}


@dataclass(frozen=True, slots=True)
class Summary:
    """The manifests of a dataset, and what its requests came to.

    ``run_id`` tells this run's answers from earlier ones.
    """

    pages: PagesManifest
    chunks: ChunksManifest
    suggestions: SuggestionsManifest
    requests: RequestAccount
    run_id: str

    def lines(self) -> list[str]:
        """The account; counts, ids and times only."""
        published, requests = self.suggestions, self.requests
        answered, now = requests.answered_by_run.total(), requests.answered_by_run[self.run_id]
        failed = len(published.failed_pages)
        labels = sorted(published.spans_by_label.items(), key=lambda item: (-item[1], item[0]))
        return [
            f"dataset    {shown_id(published.dataset)}{self._narrowed()}",
            (
                f"pages      {published.pages_processed + failed}: {published.pages_with_spans} with spans, "
                f"{len(published.pages_without_spans)} without{self._without_why()}, {failed} failed"
            ),
            (
                f"requests   {answered + requests.failed} for {self.chunks.chunks} chunks: "
                f"{now} answered in this run, {answered - now} before, {requests.failed} failed"
            ),
            f"latency    p50 {_seconds(requests.latencies, 0.50)}, p95 {_seconds(requests.latencies, 0.95)}",
            f"quotes     {quote_words(published.quotes_by_outcome)}",
            f"rows       {published.rows} ({published.bytes:,} bytes){_held_back(published.held_back)}",
            "spans      " + ", ".join(f"{shown_id(label)} {count}" for label, count in labels),
            f"model      {shown_id(published.model)} {shown_id(published.model_version)}",
            *cascade_lines(published),
            *(f"warning    {doubt}" for doubt in doubts(published)),
            *(
                f"failed     {shown_page(page.doc_id, page.page_num)}: {shown_id(page.reason)}"
                for page in published.failed_pages[:_FAILURES_SHOWN]
            ),
        ]

    def _without_why(self) -> str:
        """Why there is nothing on the pages without spans."""
        pages = self.suggestions.pages_by_answer
        words = [f"{pages[each]} {said}" for each, said in _WITHOUT_SPANS.items() if pages.get(each)]
        return f" ({', '.join(words)})" if words else ""

    def _narrowed(self) -> str:
        """What part of the dataset this is."""
        if self.pages.narrowed_to_doc_ids is None:
            return ""
        return (
            f", narrowed to {self.pages.narrowed_to_doc_ids} doc_ids, "
            f"of which {self.pages.doc_ids_not_found} were not found"
        )


def _held_back(by_label: Mapping[str, int]) -> str:
    """Of the quotes that became suggestions, those that are not published."""
    held_back = sum(by_label.values())
    return f", {held_back} held back below the threshold of their label" if held_back else ""


def quote_words(by_outcome: Mapping[str, int]) -> str:
    """How many quotes the model gave and what became of them, by the names in the manifest."""
    kept = by_outcome.get(QuoteOutcome.KEPT, 0)
    others = sorted(
        ((outcome, count) for outcome, count in by_outcome.items() if outcome != QuoteOutcome.KEPT and count),
        key=lambda item: (-item[1], item[0]),
    )
    told = [f"{kept} became suggestions", *(f"{count} {shown_id(name)}" for name, count in others)]
    return f"{sum(by_outcome.values())}: {', '.join(told)}"


def summarize(store: ObjectStore, dataset: str, run_id: str) -> Summary:
    """Reads the account of a dataset; ``run_id`` tells this run's answers from earlier ones.

    Raises:
        BatchError: a stage is not materialized.
    """
    layout = DatasetLayout(dataset)
    outputs = require_manifest(
        store,
        layout.stage_manifest("raw_model_outputs"),
        RawModelOutputsManifest,
        dataset,
        "raw_model_outputs",
    )
    return Summary(
        pages=require_manifest(store, layout.stage_manifest("pages"), PagesManifest, dataset, "pages"),
        chunks=require_manifest(store, layout.stage_manifest("chunks"), ChunksManifest, dataset, "chunks"),
        suggestions=require_manifest(
            store, layout.published_manifest, SuggestionsManifest, dataset, "suggestions"
        ),
        requests=read_requests(store, layout, outputs),
        run_id=run_id,
    )


def _seconds(values: Distribution, share: float) -> str:
    found = values.percentile(share)
    return "unknown" if found is None else f"{found:.2f} s"
