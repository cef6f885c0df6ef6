"""Every dataset of the warehouse and of the lake: what is published of it, and whether that is still so."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from preannotation_assets.errors import DamagedObjectError, VerificationError
from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.batch import read_manifest
from preannotation_assets.lake.layout import PUBLISHED_FOLDER, DatasetLayout, can_be_dataset
from preannotation_assets.lake.owner import holding_run
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.overview.freshness import Freshness, PageChange, hold_against
from preannotation_assets.warehouse import DatasetSummary, Warehouse

__all__ = ["DatasetOverview", "DatasetState", "explained", "list_published", "overview_of", "overviews"]


class DatasetState(StrEnum):
    """How what is published stands to the warehouse."""

    PUBLISHED = "published"
    STALE = "stale"
    PARTIAL = "published in part"
    NOT_PUBLISHED = "not published"
    GONE = "gone from the warehouse"
    UNUSABLE = "name cannot be used"
    UNREADABLE = "cannot be read"


_UNTOLD: Final = "only pages that failed, or rows that are there twice, differ"


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

    @property
    def difference(self) -> str:
        """How the pages differ, in words; empty where they do not, or were not compared one by one."""
        if self.freshness is None or self.state is DatasetState.PUBLISHED:
            return ""
        return _UNTOLD if self.freshness.is_fresh else self.freshness.words()


def overviews(source: Warehouse, store: ObjectStore) -> list[DatasetOverview]:
    """All datasets that the warehouse lists or that are published, by name.

    Pages are compared one by one only where no fingerprint says whether they are the same. A dataset whose
    objects are there and are not what they should be is listed as one that cannot be read.

    Raises:
        WarehouseError: the view cannot be evaluated.
        StorageError: the lake cannot be read.
    """
    listed = {summary.dataset: summary for summary in source.list_datasets()}
    names = sorted(listed.keys() | set(list_published(store)))
    return [_listed(source, store, name, listed.get(name)) for name in names]


def _listed(
    source: Warehouse, store: ObjectStore, dataset: str, summary: DatasetSummary | None
) -> DatasetOverview:
    try:
        return overview_of(source, store, dataset, summary)
    except (DamagedObjectError, VerificationError):
        return DatasetOverview(dataset, DatasetState.UNREADABLE, summary.pages if summary else 0)


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
        DamagedObjectError: its manifest or its lease is none.
        StorageError: the lake cannot be read.
        VerificationError: the published Parquet is missing, or cannot be read.
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
    found = hold_against(store, layout, manifest, source.page_hashes(dataset))
    return DatasetOverview(dataset, _state_by_pages(found), found.rows, manifest, run, found)


def explained(source: Warehouse, store: ObjectStore, overview: DatasetOverview) -> DatasetOverview:
    """The same, with the pages compared one by one where it is stale and they were not yet.

    Raises:
        WarehouseError: the view cannot be evaluated.
        StorageError: the lake cannot be read.
        VerificationError: the published Parquet is missing, or cannot be read.
    """
    if overview.state is not DatasetState.STALE or overview.freshness or overview.manifest is None:
        return overview
    layout, present = DatasetLayout(overview.dataset), source.page_hashes(overview.dataset)
    return replace(overview, freshness=hold_against(store, layout, overview.manifest, present))


def _state_by_pages(found: Freshness) -> DatasetState:
    if not found.rows:
        return DatasetState.GONE
    if found.is_fresh:
        return DatasetState.PUBLISHED
    return DatasetState.PARTIAL if found.changes.keys() == {PageChange.NEW} else DatasetState.STALE
