"""A short account of what is published for a dataset, for a person to read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow.compute as pc

from preannotation_assets.contracts import AnswerStatus
from preannotation_assets.lake import ObjectStore, read_table
from preannotation_assets.lake.batch import require_manifest
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import (
    ChunksManifest,
    PagesManifest,
    RawModelOutputsManifest,
    SuggestionsManifest,
)

__all__ = ["Summary", "summarize"]

_FAILURES_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Summary:
    """The manifests of a dataset, and the latencies (seconds) of the answers it was made of."""

    pages: PagesManifest
    chunks: ChunksManifest
    outputs: RawModelOutputsManifest
    suggestions: SuggestionsManifest
    latencies: Sequence[float]
    asked_now: int

    def lines(self) -> list[str]:
        """The account; counts, ids and times only."""
        published = self.suggestions
        failed = len(published.failed_pages)
        labels = sorted(published.spans_by_label.items(), key=lambda item: (-item[1], item[0]))
        quotes = sum(published.quotes_by_outcome.values())
        kept = published.quotes_by_outcome.get("kept", 0)
        return [
            f"dataset    {published.dataset}{self._narrowed()}",
            f"pages      {published.pages_processed + failed}: {published.pages_with_spans} with spans, "
            f"{len(published.pages_without_spans)} without, {failed} failed",
            f"requests   {self.outputs.answered + self.outputs.failed} for {self.chunks.chunks} chunks: "
            f"{self.asked_now} answered in this run, {self.outputs.answered - self.asked_now} before, "
            f"{self.outputs.failed} failed",
            f"latency    p50 {_seconds(self.latencies, 0.50)}, p95 {_seconds(self.latencies, 0.95)}",
            f"quotes     {quotes}: {kept} became suggestions, {quotes - kept} repeated, overlapping or not found",
            f"rows       {published.rows} ({published.bytes:,} bytes)",
            "spans      " + ", ".join(f"{label} {count}" for label, count in labels),
            f"model      {published.model} {published.model_version}",
        ] + [
            f"failed     {page.doc_id} page {page.page_num}: {page.reason}"
            for page in published.failed_pages[:_FAILURES_SHOWN]
        ]

    def _narrowed(self) -> str:
        """What part of the dataset this is."""
        if self.pages.narrowed_to_doc_ids is None:
            return ""
        return (
            f", narrowed to {self.pages.narrowed_to_doc_ids} doc_ids, "
            f"of which {self.pages.doc_ids_not_found} were not found"
        )


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
    latencies: list[float] = []
    asked_now: set[str] = set()
    folder = layout.stage("raw_model_outputs", outputs.version)
    for part in range(len(outputs.part_rows)):
        table = read_table(
            store, part_key(folder, part), ("request_key", "status", "latency_seconds", "run_id")
        )
        answered = table.filter(pc.equal(table["status"], AnswerStatus.ANSWERED))
        latencies += [value for value in answered["latency_seconds"].to_pylist() if value is not None]
        asked_now.update(answered.filter(pc.equal(answered["run_id"], run_id))["request_key"].to_pylist())
    return Summary(
        pages=require_manifest(store, layout.stage_manifest("pages"), PagesManifest, dataset, "pages"),
        chunks=require_manifest(store, layout.stage_manifest("chunks"), ChunksManifest, dataset, "chunks"),
        outputs=outputs,
        suggestions=require_manifest(
            store, layout.published_manifest, SuggestionsManifest, dataset, "suggestions"
        ),
        latencies=sorted(latencies),
        asked_now=len(asked_now),
    )


def _seconds(ordered: Sequence[float], share: float) -> str:
    if not ordered:
        return "unknown"
    return f"{ordered[min(len(ordered) - 1, int(len(ordered) * share))]:.2f} s"
