"""The asset ``pages``: an immutable snapshot of the batch."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain
from typing import Final

from dagster import AssetExecutionContext, DataVersion, MaterializeResult, MetadataValue, ResourceParam, asset
from pydantic import BaseModel, ConfigDict, Field

from preannotation_assets.contracts import PAGES
from preannotation_assets.defs.assets.common import OWNERS, column_schema, per_second
from preannotation_assets.defs.assets.neighbours import vw_argilla_pages
from preannotation_assets.defs.launching import launch_fields
from preannotation_assets.defs.partitions import DATASETS
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.defs.stage_code import stage_code
from preannotation_assets.errors import BatchError
from preannotation_assets.extraction.pages import SourceRow, check_pages
from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.batch import (
    read_manifest,
    sweep_dead_writers,
    sweep_stage,
    write_manifest,
)
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import PagesManifest
from preannotation_assets.overview.unknown import missing_words, no_pages, none_of
from preannotation_assets.publishing.shown_ids import counted
from preannotation_assets.tasks.snapshot_pages import Snapshot, write_snapshot
from preannotation_assets.telemetry.stage_progress import (
    PageCount,
    ProgressDisplay,
    StageReporter,
    report_count,
)
from preannotation_assets.warehouse import DatasetSummary, Warehouse

__all__ = ["PagesConfig", "pages"]

_CODE: Final = stage_code("tasks.snapshot_pages", PAGES)


class PagesConfig(BaseModel):
    """What of the dataset is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    doc_ids: list[str] = Field(default=[], description="Only these documents. Empty for the whole dataset.")


@asset(
    partitions_def=DATASETS,
    group_name="preannotation",
    kinds={"duckdb", "parquet"},
    owners=OWNERS,
    deps=[vw_argilla_pages],
    code_version=_CODE,
    metadata=column_schema(PAGES),
    config_schema=launch_fields(PagesConfig, PagesConfig()),
)
def pages(
    context: AssetExecutionContext,
    warehouse: WarehouseResource,
    storage: StorageResource,
    progress: ResourceParam[ProgressDisplay],
) -> MaterializeResult[None]:
    """The pages of the batch as the warehouse has them now, with their text hashes verified.

    Pages whose hash is wrong, whose text is missing, or that the view holds in two versions, are left out
    and recorded; they end up as failed in the published manifest.
    """
    began = time.monotonic()
    store = storage.open_for_publishing()
    layout = DatasetLayout(context.partition_key)
    sweep_dead_writers(store, layout)
    doc_ids = PagesConfig(**context.op_execution_context.op_config).doc_ids or None
    with warehouse.open() as source:
        reading = _Reading(source, layout.dataset, doc_ids, StageReporter(context.log.log, progress))
        manifest, missing = _snapshot(reading, store, layout, context.run.run_id, storage.pages_a_part)
    seconds = time.monotonic() - began
    context.log.info(
        f"{manifest.pages} pages, {len(manifest.failed_pages)} left out, "
        f"{manifest.doc_ids_not_found} doc_ids not found"
    )
    if missing:
        context.log.warning(f"not found: {missing_words(missing)}")
    return MaterializeResult(
        data_version=DataVersion(manifest.content_hash),
        metadata={
            "dagster/row_count": manifest.pages,
            "characters": manifest.characters,
            "empty_pages": manifest.empty_pages,
            "collapsed_duplicates": manifest.collapsed_duplicates,
            "failed_pages": len(manifest.failed_pages),
            "doc_ids_not_found": manifest.doc_ids_not_found,
            "seconds": round(seconds, 3),
            "pages_per_second": per_second(manifest.pages, seconds),
            "location": MetadataValue.path(store.uri(layout.stage("pages", manifest.version))),
        },
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is read from where, and who is told how far it is."""

    source: Warehouse
    dataset: str
    doc_ids: Sequence[str] | None
    reporter: StageReporter

    def listed(self) -> DatasetSummary | None:
        """The whole dataset; None where a part of it is read, or where the view lists no such dataset."""
        return self.source.find_dataset(self.dataset) if self.doc_ids is None else None

    def told(self, pages: int | None, count: PageCount) -> AbstractContextManager[None]:
        """Tells of the rows that are counted while the body runs."""
        return report_count(self.reporter, "reading", "pages", pages, lambda: count.done)


def _snapshot(
    reading: _Reading, store: ObjectStore, layout: DatasetLayout, run_id: str, pages_a_part: int
) -> tuple[PagesManifest, Sequence[str]]:
    """Writes a new version, or keeps the present one, in its own parts, when no page has changed.

    Returns the doc_ids that were not found beside it.

    Raises:
        BatchError: there is no page, or none that can be used.
    """
    # Before the pages: what changes while they are read is then seen to be newer than what is published.
    source, doc_ids = reading.source, reading.doc_ids
    listed, count = reading.listed(), PageCount()
    rows = source.read_pages(layout.dataset, doc_ids)
    first = next(rows, None)
    if first is None:
        raise no_pages(source, layout.dataset) if doc_ids is None else none_of(layout.dataset, doc_ids)
    missing = dict.fromkeys(doc_ids or ())
    observed = _striking_out(missing, count.passing(chain([first], rows)))
    folder = layout.stage("pages", run_id)
    with reading.told(listed.pages if listed else None, count):
        snapshot = write_snapshot(store, folder, check_pages(observed), pages_a_part)
    _require_a_page(layout.dataset, snapshot)
    manifest = PagesManifest(
        dataset=layout.dataset,
        version=run_id,
        content_hash=hashlib.sha256(repr((_CODE, snapshot.content_hash)).encode()).hexdigest(),
        part_rows=snapshot.part_rows,
        pages=snapshot.pages,
        empty_pages=snapshot.empty_pages,
        characters=snapshot.characters,
        collapsed_duplicates=snapshot.collapsed_duplicates,
        failed_pages=snapshot.failed_pages,
        narrowed_to_doc_ids=None if doc_ids is None else len(doc_ids),
        doc_ids_not_found=len(missing),
        source_fingerprint=listed.fingerprint if listed else None,
    )
    present = read_manifest(store, layout.stage_manifest("pages"), PagesManifest)
    if present and present.content_hash == manifest.content_hash:
        store.delete(stat.key for stat in list(store.list(f"{folder}/")))
        manifest = manifest.model_copy(update={"version": present.version, "part_rows": present.part_rows})
    write_manifest(store, layout.stage_manifest("pages"), manifest)
    sweep_stage(store, layout, "pages", manifest.version)
    return manifest, list(missing)


def _require_a_page(dataset: str, snapshot: Snapshot) -> None:
    """Makes sure that there is a page to ask about: of failed ones alone nothing would be published."""
    if not snapshot.pages:
        faults = Counter(page.reason for page in snapshot.failed_pages)
        raise BatchError(
            f"no page of {dataset} can be used: {counted(faults)}",
            "mend the view; sql/motherduck/PREANNOTATION_SCHEMA.md says what each means",
        )


def _striking_out(doc_ids: dict[str, None], rows: Iterable[SourceRow]) -> Iterator[SourceRow]:
    """The rows; takes their doc_ids out of those that are wanted, so that the missing ones are left."""
    for row in rows:
        doc_ids.pop(row.doc_id, None)
        yield row
