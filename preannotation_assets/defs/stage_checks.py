"""Checks of what the suggestions are made of: pages left out, chunks of their pages, failed requests."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from dagster import AssetCheckExecutionContext, AssetCheckResult, AssetCheckSeverity, multi_asset_check

from preannotation_assets.contracts import CHUNKS, FIRST_PASS, PAGES, RAW_MODEL_OUTPUTS, AnswerStatus
from preannotation_assets.defs.assets.chunks import chunks
from preannotation_assets.defs.assets.pages import pages
from preannotation_assets.defs.assets.raw_model_outputs.asset import raw_model_outputs
from preannotation_assets.defs.check_results import (
    FAILURES_ALLOWED,
    MOST_LISTED,
    Share,
    check_specs,
    failed_page_table,
    offender_table,
    share_result,
)
from preannotation_assets.defs.partitions import dataset_of
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.errors import BatchError
from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.batch import iterate_rows, require_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import ChunksManifest, PagesManifest, RawModelOutputsManifest
from preannotation_assets.publishing.chunk_verification import verify_chunks
from preannotation_assets.publishing.shown_ids import counted

__all__ = ["chunk_check", "failure_check", "page_check"]

_OUTPUT_COLUMNS: Final = ("doc_id", "page_num", "chunk_index", "pass_number", "status", "reason")


@multi_asset_check(
    specs=check_specs(pages, {"left_out_pages": "At most 1 % of the pages were left out of the snapshot."}),
    can_subset=True,
)
def page_check(context: AssetCheckExecutionContext, storage: StorageResource) -> Iterator[AssetCheckResult]:
    """Counts the pages that the snapshot leaves out, and says which and why."""
    store, layout = storage.open(), DatasetLayout(dataset_of(context))
    manifest = require_manifest(store, layout.stage_manifest("pages"), PagesManifest, layout.dataset, "pages")
    left_out = manifest.failed_pages
    share = Share(len(left_out), len(left_out) + manifest.pages)
    reasons = Counter(page.reason for page in left_out)
    yield share_result(
        "left_out_pages",
        share,
        passed=share.count <= FAILURES_ALLOWED * share.total,
        words=f"{share} pages are left out: {counted(reasons)}; mend the view, "
        "sql/motherduck/PREANNOTATION_SCHEMA.md says what each means, and run again",
        offenders=failed_page_table(left_out),
    )


@multi_asset_check(
    specs=check_specs(
        chunks, {"chunk_offsets": "Every chunk is its page's text, and together they cover the page."}
    ),
    can_subset=True,
)
def chunk_check(context: AssetCheckExecutionContext, storage: StorageResource) -> Iterator[AssetCheckResult]:
    """Reads the snapshot and its chunks beside one another, one part at a time.

    Raises:
        BatchError: the chunks are of an older snapshot, or one is not there.
    """
    store, layout = storage.open(), DatasetLayout(dataset_of(context))
    snapshot = require_manifest(store, layout.stage_manifest("pages"), PagesManifest, layout.dataset, "pages")
    cut = require_manifest(store, layout.stage_manifest("chunks"), ChunksManifest, layout.dataset, "chunks")
    if cut.pages_version != snapshot.version:
        raise BatchError(
            f"chunks of {layout.dataset} are of older pages", f"preannotate run {layout.dataset}"
        )
    pages_folder, folder = layout.stage("pages", snapshot.version), layout.stage("chunks", cut.version)
    found = verify_chunks(
        iterate_rows(store, pages_folder, len(snapshot.part_rows), PAGES),
        iterate_rows(store, folder, len(cut.part_rows), CHUNKS),
    )
    rows = [(fault.doc_id, fault.page_num, fault.rule.value) for fault in found.first]
    broken = found.count > 0
    yield AssetCheckResult(
        check_name="chunk_offsets",
        passed=not broken,
        severity=AssetCheckSeverity.ERROR,
        description=f"{found.count} faults in {cut.chunks} chunks; remove the object "
        f"{layout.stage_manifest('chunks')}, then preannotate run {layout.dataset} cuts them anew"
        if broken
        else None,
        metadata={
            "chunks": found.chunks,
            "wrong": found.count,
            **({"offenders": offender_table(("doc_id", "page_num", "rule"), rows)} if broken else {}),
        },
    )


@multi_asset_check(
    specs=check_specs(raw_model_outputs, {"failure_rate": "At most 1 % of the requests failed."}),
    can_subset=True,
)
def failure_check(
    context: AssetCheckExecutionContext, storage: StorageResource
) -> Iterator[AssetCheckResult]:
    """Counts the requests that failed; where they are too many, says which and why.

    A second pass that failed leaves what the first one gave, and does not count.
    """
    store, layout = storage.open(), DatasetLayout(dataset_of(context))
    manifest = require_manifest(
        store,
        layout.stage_manifest("raw_model_outputs"),
        RawModelOutputsManifest,
        layout.dataset,
        "raw_model_outputs",
    )
    share = Share(manifest.failed, manifest.failed + manifest.answered)
    passed = share.count <= FAILURES_ALLOWED * share.total
    failures = [] if passed else _failures(store, layout, manifest)
    reasons = Counter(reason for *_, reason in failures)
    yield share_result(
        "failure_rate",
        share,
        passed=passed,
        words=f"{share} requests failed: {counted(reasons)}; what failed is asked again by "
        f"preannotate run {layout.dataset}, or by the job ask_failures_again",
        offenders=offender_table(("doc_id", "page_num", "chunk_index", "reason"), failures[:MOST_LISTED]),
    )


def _failures(
    store: ObjectStore, layout: DatasetLayout, manifest: RawModelOutputsManifest
) -> list[tuple[str, int, int, str]]:
    folder = layout.stage("raw_model_outputs", manifest.version)
    rows = iterate_rows(store, folder, len(manifest.part_rows), RAW_MODEL_OUTPUTS, _OUTPUT_COLUMNS)
    return [
        (row["doc_id"], row["page_num"], row["chunk_index"], row["reason"] or "unknown")
        for row in rows
        if row["status"] == AnswerStatus.FAILED and row["pass_number"] == FIRST_PASS
    ]
