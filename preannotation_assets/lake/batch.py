"""Reads and writes a batch's manifests, and streams the rows of its parts."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from preannotation_assets.errors import BatchError, StorageError
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.lake.objects import ObjectStore
from preannotation_assets.lake.tables import read_json, read_table, write_json

__all__ = [
    "iterate_rows",
    "read_manifest",
    "require_manifest",
    "sweep_dead_writers",
    "sweep_stage",
    "write_manifest",
]

Manifest = TypeVar("Manifest", bound=BaseModel)

_SUPERSEDED_AFTER: Final = timedelta(days=1)


def read_manifest(store: ObjectStore, key: str, kind: type[Manifest]) -> Manifest | None:
    """A manifest; None where there is none.

    Raises:
        StorageError: it is not a manifest of that kind.
    """
    document = read_json(store, key)
    if document is None:
        return None
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_input=False)[0]["loc"]))
        raise StorageError(f"{store.uri(key)} is not a {kind.__name__}", f"look at {place}") from None


def require_manifest(
    store: ObjectStore, key: str, kind: type[Manifest], dataset: str, stage: str
) -> Manifest:
    """A manifest that must be there.

    Raises:
        BatchError: the stage was not materialized.
    """
    manifest = read_manifest(store, key, kind)
    if manifest is None:
        raise BatchError(f"{stage} of {dataset} is not materialized", f"materialize {stage} first")
    return manifest


def write_manifest(store: ObjectStore, key: str, manifest: BaseModel) -> None:
    """Replaces a manifest."""
    write_json(store, key, manifest.model_dump(mode="json"))


def iterate_rows(
    store: ObjectStore, folder: str, parts: int, columns: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of all parts in order; one part is held at a time."""
    for index in range(parts):
        for batch in read_table(store, part_key(folder, index), columns).to_batches(max_chunksize=1000):
            yield from batch.to_pylist()


def sweep_dead_writers(store: ObjectStore, layout: DatasetLayout) -> int:
    """Removes the temporary files of a dataset that killed writers left over a day ago; how many."""
    oldest = datetime.now(UTC) - _SUPERSEDED_AFTER
    folders = (f"{layout.work}/", f"{layout.published}/")
    return sum(store.sweep_unfinished(folder, oldest) for folder in folders)


def sweep_stage(store: ObjectStore, stage_folder: str, current_version: str) -> int:
    """Deletes versions of a stage that no manifest names and nobody wrote to for a day.

    Returns how many objects were deleted. The day is for runs that still read the version before.
    """
    oldest = datetime.now(UTC) - _SUPERSEDED_AFTER
    current = f"{stage_folder}/{current_version}/"
    superseded = [
        stat.key
        for stat in store.list(f"{stage_folder}/")
        if not stat.key.startswith(current) and stat.key.endswith(".parquet") and stat.modified_at < oldest
    ]
    store.delete(superseded)
    return len(superseded)
