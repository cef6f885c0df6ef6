"""Every dataset of the warehouse and of the lake: what is published of it, and whether that is still so."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.batch import read_manifest
from preannotation_assets.lake.layout import PUBLISHED_FOLDER, DatasetLayout, can_be_dataset
from preannotation_assets.lake.owner import holding_run
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.overview.freshness import Freshness, PageChange, hold_against
from preannotation_assets.warehouse import DatasetSummary, Warehouse

__all__ = ["DatasetOverview", "DatasetState", "list_published", "overview_of", "overviews"]


class DatasetState(StrEnum):
    """How what is published stands to the warehouse."""

    PUBLISHED = "published"
    STALE = "stale"
    PARTIAL = "published in part"
    NOT_PUBLISHED = "not published"
    GONE = "gone from the warehouse"
    UNUSABLE = "name cannot be used"


@dataclass(frozen=True, slots=True)
class DatasetOverview:
    """One dataset. ``pages`` are rows of the warehouse; ``run_at_work`` is the run that holds the lease.

    ``freshness`` is there where the pages had to be compared one by one.
    """

    dataset: str
    state: DatasetState
    pages: int
    manifest: SuggestionsManifest | None = None
    run_at_work: str | None = None
    freshness: Freshness | None = None

    @property
    def published_at(self) -> datetime | None:
        """When it was published."""
        return self.manifest.published_at if self.manifest else None


def overviews(source: Warehouse, store: ObjectStore) -> list[DatasetOverview]:
    """All datasets that the warehouse lists or that are published, by name.

    Pages are compared one by one only where no fingerprint says whether they are the same.

    Raises:
        WarehouseError: the view cannot be evaluated.
        StorageError: the lake cannot be read.
    """
    listed = {summary.dataset: summary for summary in source.list_datasets()}
    names = sorted(listed.keys() | set(list_published(store)))
    return [overview_of(source, store, name, listed.get(name)) for name in names]


def list_published(store: ObjectStore) -> Sequence[str]:
    """The datasets that have something published.

    Raises:
        StorageError: the lake cannot be listed.
    """
    names = {entry.key.removeprefix(PUBLISHED_FOLDER).split("/")[0] for entry in store.list(PUBLISHED_FOLDER)}
    return sorted(name for name in names if can_be_dataset(name))


def overview_of(
    source: Warehouse, store: ObjectStore, dataset: str, summary: DatasetSummary | None
) -> DatasetOverview:
    """One dataset; ``summary`` is what the warehouse lists of it, None where it does not list it.

    Raises:
        WarehouseError: the view cannot be evaluated.
        StorageError: the lake cannot be read.
        VerificationError: what is published cannot be read.
    """
    if not can_be_dataset(dataset):
        return DatasetOverview(dataset, DatasetState.UNUSABLE, summary.pages if summary else 0)
    layout = DatasetLayout(dataset)
    manifest = read_manifest(store, layout.published_manifest, SuggestionsManifest)
    run = holding_run(store, layout.lease)
    if manifest is None:
        return DatasetOverview(
            dataset, DatasetState.NOT_PUBLISHED, summary.pages if summary else 0, run_at_work=run
        )
    if summary and manifest.source_fingerprint is not None:
        is_same = manifest.source_fingerprint == summary.fingerprint
        state = DatasetState.PUBLISHED if is_same else DatasetState.STALE
        return DatasetOverview(dataset, state, summary.pages, manifest, run)
    found = hold_against(store, manifest, source.page_hashes(dataset))
    return DatasetOverview(dataset, _state_by_pages(found), found.rows, manifest, run, found)


def _state_by_pages(found: Freshness) -> DatasetState:
    if not found.rows:
        return DatasetState.GONE
    if found.is_fresh:
        return DatasetState.PUBLISHED
    return DatasetState.PARTIAL if found.changes.keys() == {PageChange.NEW} else DatasetState.STALE
