"""Reads and writes a batch's manifests, and streams the rows of its parts."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ValidationError

from preannotation_assets.errors import BatchError, DamagedObjectError
from preannotation_assets.lake.layout import DatasetLayout, cure_of_damage, part_key
from preannotation_assets.lake.objects import ObjectEntry, ObjectStore
from preannotation_assets.lake.owner import is_held_by_another
from preannotation_assets.lake.tables import read_json_lists, read_table_as, write_json
from preannotation_assets.page_lists import pack_pages, page_lists, page_rows

__all__ = [
    "iterate_rows",
    "not_materialized",
    "read_manifest",
    "remove_plans",
    "require_manifest",
    "sweep_dead_writers",
    "sweep_stage",
    "write_manifest",
]

Manifest = TypeVar("Manifest", bound=BaseModel)

_SUPERSEDED_AFTER: Final = timedelta(days=1)
# Below a stage, one empty object for each superseded version; no version has this name.
_MARKS: Final = "_superseded"


def read_manifest(store: ObjectStore, key: str, kind: type[Manifest]) -> Manifest | None:
    """A manifest; None where there is none.

    Raises:
        DamagedObjectError: it is not a manifest of that kind.
        StorageError: the store fails.
    """
    gathered = {name: partial(pack_pages, page) for name, page in page_lists(kind).items()}
    document = read_json_lists(store, key, gathered)
    if document is None:
        return None
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        # The field only: what is below it may have names of whoever wrote it.
        place = (*error.errors(include_input=False, include_url=False)[0]["loc"], "content")
        problem = f"{store.uri(key)} is not a {kind.__name__}, by its {place[0]}"
        DamagedObjectError(problem, cure_of_damage(key)).raise_alone()


def require_manifest(
    store: ObjectStore, key: str, kind: type[Manifest], dataset: str, stage: str
) -> Manifest:
    """A manifest that must be there.

    Raises:
        BatchError: the stage was not materialized.
    """
    manifest = read_manifest(store, key, kind)
    if manifest is None:
        raise not_materialized(stage, dataset)
    return manifest


def not_materialized(stage: str, dataset: str) -> BatchError:
    """The error about a stage that is not there."""
    return BatchError(f"{stage} of {dataset} is not materialized", f"preannotate run {dataset} makes it")


def write_manifest(store: ObjectStore, key: str, manifest: BaseModel) -> None:
    """Replaces a manifest."""
    lists = {name: page_rows(getattr(manifest, name)) for name in page_lists(type(manifest))}
    write_json(store, key, manifest.model_dump(mode="json", exclude=set(lists)) | lists)


def iterate_rows(
    store: ObjectStore, folder: str, parts: int, schema: pa.Schema, columns: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of all parts in order, as ones of ``schema``; one part is held at a time.

    Raises:
        StorageError: a part is missing, not readable, or lacks a column.
    """
    for index in range(parts):
        table = read_table_as(store, part_key(folder, index), schema, columns)
        for batch in table.to_batches(max_chunksize=1000):
            yield from batch.to_pylist()


def sweep_dead_writers(store: ObjectStore, layout: DatasetLayout) -> int:
    """Removes the temporary files of a dataset that killed writers left over a day ago; how many."""
    oldest = datetime.now(UTC) - _SUPERSEDED_AFTER
    folders = (f"{layout.work}/", f"{layout.published}/")
    return sum(store.sweep_unfinished(folder, oldest) for folder in folders)


def sweep_stage(store: ObjectStore, layout: DatasetLayout, stage: str, current_version: str) -> int:
    """Deletes versions of a stage that were superseded more than a day ago; how many objects went.

    The first sweep that finds a version superseded leaves a mark, and the day counts from there, however
    old the files are: runs, previews and verifications that began before go on reading them. Files that
    are younger than a day themselves stay, because a run may be making that version again. While another
    live run holds the dataset's lease, nothing is deleted at all: it may be days old and read anything.
    """
    stage_folder = f"{layout.work}/{stage}/"
    marks_folder = f"{stage_folder}{_MARKS}/"
    entries = list(store.list(stage_folder))
    marks = {
        entry.key.removeprefix(marks_folder): entry.modified_at
        for entry in entries
        if entry.key.startswith(marks_folder)
    }
    files = [entry for entry in entries if entry.key.endswith(".parquet")]
    superseded = {_version_of(entry, stage_folder) for entry in files} - {current_version}
    store.delete(f"{marks_folder}{version}" for version in marks.keys() - superseded)
    for version in superseded - marks.keys():
        store.write(f"{marks_folder}{version}", b"")
    if is_held_by_another(store, layout.lease):
        return 0
    oldest = datetime.now(UTC) - _SUPERSEDED_AFTER
    old = {version for version in superseded & marks.keys() if marks[version] < oldest}
    expired = [
        entry.key for entry in files if _version_of(entry, stage_folder) in old and entry.modified_at < oldest
    ]
    store.delete(expired)
    return len(expired)


def remove_plans(store: ObjectStore, layout: DatasetLayout, run_id: str) -> None:
    """Removes what told the tasks of a run what to do; that of killed runs a day after it was found so."""
    store.delete([entry.key for entry in store.list(f"{layout.stage('plans', run_id)}/")])
    sweep_stage(store, layout, "plans", run_id)


def _version_of(entry: ObjectEntry, stage_folder: str) -> str:
    return entry.key.removeprefix(stage_folder).partition("/")[0]
