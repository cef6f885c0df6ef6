"""Asks about reviewed pages as a run would: the same chunks, requests, answers, places and confidences.

Nothing of the batch is touched but its answer store, so that a run with the same settings finds the answers.
What the steps write on the way lies in folders that no manifest names, and is removed at the end; what a
killed process leaves there a later run sweeps.
"""

import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

import pyarrow as pa

from preannotation_assets.answer_store.compaction import compact_answers
from preannotation_assets.comparing.answered_pages import AnsweredPage, AnsweredPages, PageCost, Place
from preannotation_assets.comparing.costs import page_costs
from preannotation_assets.comparing.prepared import PreparedSettings
from preannotation_assets.contracts import GROUNDINGS, PAGES, SUGGESTIONS
from preannotation_assets.defs.assets.raw_model_outputs.answering import AnsweredBatch, answer_batch
from preannotation_assets.defs.assets.raw_model_outputs.asking import AskingRun, StopSwitch
from preannotation_assets.defs.assets.raw_model_outputs.cascade import ask_small_model
from preannotation_assets.defs.assets.raw_model_outputs.outputs_batch import OutputsBatch
from preannotation_assets.errors import InferenceError
from preannotation_assets.evaluation.pages import PageKey, ReviewedPage
from preannotation_assets.extraction.calibrated import ConfidenceParts
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.lake import ObjectStore, Row, read_table_as, write_table
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.lake.lease import LEASE_LIMITS, DatasetLease
from preannotation_assets.manifests import ChunksManifest
from preannotation_assets.publishing.evaluation.reading import (
    confidence_parts,
    given_quote,
    suggested_span,
)
from preannotation_assets.tasks.chunk_pages import ChunkPages, chunk_pages
from preannotation_assets.tasks.engine import ThisProcess
from preannotation_assets.tasks.ground_answers import GroundAnswers, GroundedPart, ground_answers
from preannotation_assets.telemetry.stage_progress import ProgressDisplay, StageReporter
from preannotation_assets.trying.page_asker import SharedSemaphore

__all__ = ["answer_reviewed_pages"]

_LOG: Final = logging.getLogger(__name__)


def answer_reviewed_pages(
    prepared: PreparedSettings, pages: Sequence[ReviewedPage], progress: ProgressDisplay
) -> AnsweredPages:
    """What a run with these settings would suggest on reviewed pages, and what it costs, page by page.

    The dataset's lease is held meanwhile. What the answer store has is not asked; what is asked is in it a
    few seconds later, so that whoever was interrupted goes on where it stopped, and a run finds it.

    Raises:
        BatchError: a run is asking about the dataset.
        InferenceError: no request can succeed before somebody acts, or none was answered.
        StorageError: the lake cannot be read or written.
    """
    storage = prepared.resources["storage"]
    store, layout = storage.open_for_publishing(), DatasetLayout(prepared.dataset)
    run_id, switch = str(uuid4()), StopSwitch()
    ordered = sorted(pages, key=lambda page: (page.doc_id, page.page_num))
    with (
        DatasetLease(storage.open(LEASE_LIMITS), layout.lease, run_id, switch.stop),
        _removed_at_the_end(store, layout, run_id) as folders,
    ):
        batch = _cut(prepared, store, layout, ordered, run_id)
        run, small = _asking_run(prepared, switch, progress), prepared.small
        choice = ask_small_model(run, batch, small, since=0) if small else None
        answered = answer_batch(run, batch, since=0, choice=choice)
        folders.append(layout.stage("raw_model_outputs", answered.collected.version))
        _require_answers(answered)
        costs = page_costs(batch, answered, prepared.servers)
        grounded = _ground(prepared, batch, answered)
        found = tuple(_read(store, layout, run_id, grounded, ordered, costs))
        compact_answers(store, layout.answers)
    template = prepared.template
    return AnsweredPages(template.model, prepared.model_version, template.prompt.version, found)


@contextmanager
def _removed_at_the_end(store: ObjectStore, layout: DatasetLayout, version: str) -> Iterator[list[str]]:
    """Lends a list of folders that are removed at the end; those of the version are in it."""
    folders = [layout.stage(stage, version) for stage in ("pages", "chunks", "plans", "suggestions")]
    try:
        yield folders
    finally:
        for folder in folders:
            store.delete([entry.key for entry in store.list(f"{folder}/")])


def _cut(
    prepared: PreparedSettings,
    store: ObjectStore,
    layout: DatasetLayout,
    pages: Sequence[ReviewedPage],
    version: str,
) -> OutputsBatch:
    """The pages as one part of a batch, cut as the settings say."""
    rows = [
        {
            "doc_id": page.doc_id,
            "page_num": page.page_num,
            "text": page.text,
            "text_sha256": text_sha256(page.text),
        }
        for page in pages
    ]
    storage, limits = prepared.resources["storage"], prepared.limits
    pages_key = part_key(layout.stage("pages", version), 0)
    write_table(store, pages_key, pa.Table.from_pylist(rows, schema=PAGES))
    chunks_key = part_key(layout.stage("chunks", version), 0)
    cut = chunk_pages(ChunkPages(storage.location(), pages_key, chunks_key, limits))
    chunks = ChunksManifest(
        dataset=layout.dataset,
        version=version,
        pages_version=version,
        chunk_tokens=limits.max_tokens,
        overlap_tokens=limits.overlap_tokens,
        calibration=limits.calibration,
        kind_factors=limits.kind_factors.named(),
        part_rows=[cut.chunks],
        chunks=cut.chunks,
        estimated_tokens=cut.estimated_tokens,
    )
    return OutputsBatch.read(store, storage, layout, chunks, prepared.template, version)


def _asking_run(prepared: PreparedSettings, switch: StopSwitch, progress: ProgressDisplay) -> AskingRun:
    access = prepared.access
    return AskingRun(
        log=_LOG,
        engine=ThisProcess(),
        semaphore_folder=SharedSemaphore.of_this_machine(os.environ, access.max_in_flight).folder,
        model_server=prepared.resources["model_server"],
        access=access,
        switch=switch,
        reporter=StageReporter(_LOG.log, progress),
    )


def _require_answers(answered: AnsweredBatch) -> None:
    parts = answered.collected.parts
    failed = sum(part.failed for part in parts)
    if failed and not any(part.answered for part in parts):
        reasons = ", ".join(sorted({reason for part in parts for reason in part.failure_reasons}))
        raise InferenceError(f"all {failed} requests failed ({reasons})", "look at the model server's log")


def _ground(prepared: PreparedSettings, batch: OutputsBatch, answered: AnsweredBatch) -> GroundedPart:
    """Places and confidences, by the task of a run."""
    layout, version, scheme = batch.layout, batch.chunks.version, prepared.scheme
    small = prepared.small
    outputs = layout.stage("raw_model_outputs", answered.collected.version)
    return ground_answers(
        GroundAnswers(
            location=batch.storage.location(),
            pages_key=part_key(layout.stage("pages", version), 0),
            outputs_key=part_key(outputs, 0),
            suggestions_key=part_key(layout.suggestion_rows(version), 0),
            groundings_key=part_key(layout.groundings(version), 0),
            labels=scheme.label_names,
            overlaps_allowed=scheme.overlaps,
            rules=scheme.value_rules,
            model=prepared.template.model,
            model_version=prepared.model_version,
            calibration=prepared.calibration,
            small_model=small.template.model if small else None,
            small_calibration=small.calibration if small else None,
            holds_back=prepared.resources["publishing"].holds_back,
        )
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of a table, by page."""

    by_page: Mapping[PageKey, Sequence[Row]]

    @classmethod
    def read(cls, store: ObjectStore, key: str, schema: pa.Schema) -> "_Rows":
        by_page: defaultdict[PageKey, list[Row]] = defaultdict(list)
        for row in read_table_as(store, key, schema).to_pylist():
            by_page[row["doc_id"], row["page_num"]].append(row)
        return cls(by_page)

    def of(self, page: ReviewedPage) -> Sequence[Row]:
        return self.by_page.get((page.doc_id, page.page_num), ())


def _read(
    store: ObjectStore,
    layout: DatasetLayout,
    version: str,
    grounded: GroundedPart,
    pages: Sequence[ReviewedPage],
    costs: Mapping[PageKey, PageCost],
) -> Iterator[AnsweredPage]:
    """The pages with what was written about them."""
    suggestions = _Rows.read(store, part_key(layout.suggestion_rows(version), 0), SUGGESTIONS)
    groundings = _Rows.read(store, part_key(layout.groundings(version), 0), GROUNDINGS)
    failed = {(page.doc_id, page.page_num): page.reason for page in grounded.failed_pages}
    for page in pages:
        key, quotes = (page.doc_id, page.page_num), groundings.of(page)
        marked = replace(
            page,
            suggested=tuple(map(suggested_span, suggestions.of(page))),
            quotes=tuple(map(given_quote, quotes)),
            failure=failed.get(key),
        )
        yield AnsweredPage(marked, _parts(quotes), costs[key])


def _parts(quotes: Sequence[Row]) -> Mapping[Place, ConfidenceParts]:
    return {
        (row["start"], row["end"], row["label"]): confidence_parts(row)
        for row in quotes
        if row["outcome"] == QuoteOutcome.KEPT and row["confidence"] is not None
    }
