"""All that is to be told of one dataset, in lines."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from preannotation_assets.lake import ObjectStore
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.overview.datasets import DatasetOverview, DatasetState, explained, overview_of
from preannotation_assets.overview.freshness import Freshness
from preannotation_assets.overview.tables import moment
from preannotation_assets.overview.unknown import no_pages
from preannotation_assets.publishing.cascade_words import cascade_lines
from preannotation_assets.publishing.doubts import doubts
from preannotation_assets.publishing.shown_ids import counted, shown_id, shown_page
from preannotation_assets.warehouse import Warehouse

__all__ = ["status_lines"]

_MOST_NAMED: Final = 10


def status_lines(source: Warehouse, store: ObjectStore, dataset: str) -> list[str]:
    """State, counts, model, failed pages with their reasons, and the pages that differ from the warehouse.

    Raises:
        BatchError: neither the warehouse nor the lake has the dataset; or its name cannot be one.
        WarehouseError: the view cannot be evaluated.
        StorageError: the lake cannot be read, or an object of it is damaged.
        VerificationError: what is published cannot be read.
    """
    overview = overview_of(source, store, dataset, source.find_dataset(dataset))
    if overview.manifest is None and not source.has_pages(dataset):
        raise no_pages(source, dataset)
    return [
        f"dataset    {shown_id(dataset)}",
        *_of_warehouse(explained(source, store, overview)),
        *([f"in work    run {shown_id(overview.run_at_work)}"] if overview.run_at_work else []),
        *(_of_publication(overview.manifest) if overview.manifest else []),
    ]


def _of_warehouse(overview: DatasetOverview) -> Iterator[str]:
    yield f"state      {overview.state}{f': {overview.difference}' if overview.difference else ''}"
    yield f"pages      {overview.pages} in the warehouse"
    yield from _stale_pages(overview.freshness) if overview.freshness else ()
    if overview.state in (DatasetState.NOT_PUBLISHED, DatasetState.STALE, DatasetState.PARTIAL):
        yield f"next       preannotate run {overview.dataset}"


def _stale_pages(found: Freshness) -> Iterator[str]:
    for page in found.stale_pages[:_MOST_NAMED]:
        yield f"stale      {page}"
    more = found.changes.total() - min(_MOST_NAMED, len(found.stale_pages))
    if more:
        yield f"stale      and {more} more"


def _of_publication(manifest: SuggestionsManifest) -> Iterator[str]:
    failed = manifest.failed_pages
    yield f"published  {moment(manifest.published_at)} by run {shown_id(manifest.run_id)}"
    yield (
        f"           {manifest.pages_processed + len(failed)} pages: {manifest.pages_with_spans} with spans, "
        f"{len(manifest.pages_without_spans)} without, {len(failed)} failed; {manifest.rows} rows"
    )
    yield f"model      {shown_id(manifest.model)} {shown_id(manifest.model_version)}"
    yield from cascade_lines(manifest)
    yield from (f"warning    {doubt}" for doubt in doubts(manifest))
    reasons = Counter(page.reason for page in failed)
    if failed:
        yield f"failed     {len(failed)}: {counted(reasons)}"
    for page in failed[:_MOST_NAMED]:
        yield f"failed     {shown_page(page.doc_id, page.page_num)}: {shown_id(page.reason)}"
