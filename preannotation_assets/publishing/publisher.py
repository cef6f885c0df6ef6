"""One atomic publication: merge, verify, skip if unchanged, one conditional write, manifest after.

A reader that looks at any moment sees the old Parquet or the new one, because there is only ever one
object and it is replaced whole. The manifest follows it and names its etag, so that a reader who needs
both can tell whether they belong together.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from preannotation_assets.contracts import SUGGESTIONS
from preannotation_assets.errors import ConflictError, ObjectNotFoundError, StorageError, VerificationError
from preannotation_assets.lake import ObjectStat, ObjectStore, read_table
from preannotation_assets.lake.batch import iterate_rows, read_manifest, require_manifest, write_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import PagesManifest, SuggestionsManifest, Verification
from preannotation_assets.publishing.page_states import PageStates
from preannotation_assets.publishing.verification import (
    Rule,
    SpanRules,
    VerificationReport,
    schema_differences,
    verify_rows,
)
from preannotation_assets.temporary_folders import temporary_file

__all__ = ["Publication", "publish", "recall_verification", "rows_of", "verify_dataset"]

_FILE: Final = "suggestions.parquet"
_GROUP_ROWS: Final = 50_000
_BATCH_ROWS: Final = 5_000
_VERIFIED_COLUMNS: Final = [name for name in SUGGESTIONS.names if name != "generated_at"]
_STATE_COLUMNS: Final = ("doc_id", "page_num", "label")
_VOLATILE: Final = {"run_id", "published_at"}


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published; ``changed`` is False where the very same Parquet was in place already."""

    manifest: SuggestionsManifest
    changed: bool


def publish(
    store: ObjectStore,
    layout: DatasetLayout,
    part_keys: Sequence[str],
    pages: PagesManifest,
    draft: SuggestionsManifest,
    rules: SpanRules,
) -> Publication:
    """Publishes the rows of the parts, which must be sorted and in order.

    ``pages`` is the snapshot they are of; ``draft`` the manifest with everything but rows, bytes, hash and
    etag, which are filled in here.

    Raises:
        VerificationError: a row breaks the contract, or a page is unaccounted for; nothing is published.
        ConflictError: somebody else published meanwhile.
        StorageError: the lake fails, or the Parquet is larger than one put may be.
    """
    before = store.stat(layout.published_suggestions)
    with temporary_file(_FILE) as merged:
        rows = _merge(store, part_keys, merged)
        _require_one_put(store, layout, merged.stat().st_size)
        size, content_hash = merged.stat().st_size, _sha256(merged)
        manifest = draft.model_copy(update={"rows": rows, "bytes": size, "content_hash": content_hash})
        report = _verify(store, layout, pages, merged, manifest, rules)
        if not report.passed:
            raise VerificationError(f"nothing is published for {layout.dataset}", report.summary())
        published = read_manifest(store, layout.published_manifest, SuggestionsManifest)
        unchanged = _is_published(published, before, content_hash)
        etag = (
            before.etag
            if unchanged and before
            else store.upload_if(layout.published_suggestions, merged, before.etag if before else None)
        )
    verification = Verification(
        subject=_subject(pages, manifest, rules), rows=report.rows, shifted_pages=report.shifted_pages
    )
    manifest = manifest.model_copy(update={"parquet_etag": etag, "verification": verification})
    if published is None or _lasting(published) != _lasting(manifest):
        _require_in_place(store, layout, etag)
        write_manifest(store, layout.published_manifest, manifest)
        return Publication(manifest, changed=not unchanged)
    return Publication(published, changed=not unchanged)


def verify_dataset(store: ObjectStore, dataset: str, rules: SpanRules) -> VerificationReport:
    """Reads what is published and checks every row, and the state of every page, against the snapshot.

    Raises:
        BatchError: there is no snapshot, or nothing is published.
        VerificationError: the Parquet cannot be read, has other columns than the contract, or is not the
            one that the manifest names.
    """
    layout = DatasetLayout(dataset)
    pages = require_manifest(store, layout.stage_manifest("pages"), PagesManifest, dataset, "pages")
    manifest = require_manifest(store, layout.published_manifest, SuggestionsManifest, dataset, "suggestions")
    with temporary_file(_FILE) as path:
        try:
            stat = store.download(layout.published_suggestions, path)
        except ObjectNotFoundError:
            raise VerificationError(
                f"the published Parquet of {dataset} is missing", "materialize suggestions again"
            ) from None
        if manifest.parquet_etag != stat.etag:
            raise VerificationError(
                f"the manifest of {dataset} does not name the published Parquet",
                "materialize suggestions again",
            )
        _verify_file(path, manifest)
        return _verify(store, layout, pages, path, manifest, rules)


def recall_verification(store: ObjectStore, dataset: str, rules: SpanRules) -> VerificationReport | None:
    """What was found when the dataset was published, if nothing has changed since.

    The manifest must name the very Parquet that is in place, by etag and size, and say that it was verified
    against the snapshot and the label scheme of now: then verifying it again would read the same bytes.

    Raises:
        BatchError: there is no snapshot, or nothing is published.
    """
    layout = DatasetLayout(dataset)
    pages = require_manifest(store, layout.stage_manifest("pages"), PagesManifest, dataset, "pages")
    manifest = require_manifest(store, layout.published_manifest, SuggestionsManifest, dataset, "suggestions")
    stat, found = store.stat(layout.published_suggestions), manifest.verification
    if found is None or found.subject != _subject(pages, manifest, rules) or found.rows != manifest.rows:
        return None
    if stat is None or (stat.etag, stat.size) != (manifest.parquet_etag, manifest.bytes):
        return None
    return VerificationReport(rows=found.rows, shifted_pages=found.shifted_pages)


def rows_of(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a local Parquet file with these columns; 5,000 are held at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns)):
            yield from batch.to_pylist()


def _verify(
    store: ObjectStore,
    layout: DatasetLayout,
    pages: PagesManifest,
    path: Path,
    manifest: SuggestionsManifest,
    rules: SpanRules,
) -> VerificationReport:
    """Checks every row of a local Parquet, and the state of every page, in one walk over the snapshot."""
    snapshot, parts = layout.stage("pages", pages.version), len(pages.part_rows)
    states = PageStates.read(manifest, rows_of(path, _STATE_COLUMNS))
    of_pages = VerificationReport()
    report = verify_rows(
        rows_of(path, _VERIFIED_COLUMNS),
        states.checked(iterate_rows(store, snapshot, parts), of_pages),
        rules.labels,
        overlaps_allowed=rules.overlaps_allowed,
    )
    report.take_in(of_pages)
    return report


def _verify_file(path: Path, manifest: SuggestionsManifest) -> None:
    """Makes sure that the file is what the contract and its manifest say, before its rows are read."""
    try:
        with pq.ParquetFile(path) as file:
            differences, rows = schema_differences(file.schema_arrow), file.metadata.num_rows
    except (pa.ArrowException, OSError):
        raise VerificationError(
            f"the published object of {manifest.dataset} is no Parquet", "materialize suggestions again"
        ) from None
    if differences:
        raise VerificationError(
            f"the published Parquet of {manifest.dataset} breaks the contract", "; ".join(differences)
        )
    if rows != manifest.rows or _sha256(path) != manifest.content_hash:
        raise VerificationError(
            f"the manifest of {manifest.dataset} has other rows or another hash than the published Parquet",
            "materialize suggestions again",
        )


def _subject(pages: PagesManifest, manifest: SuggestionsManifest, rules: SpanRules) -> str:
    """Names what a verification is about: snapshot, label scheme, all that the manifest says, and the rules.

    What was published before there was a rule has not been held against it.
    """
    excluded = _VOLATILE | {"parquet_etag", "verification"}
    # Sorted: counts come back from the lake in another order than they were made in.
    said = json.dumps(manifest.model_dump(mode="json", exclude=excluded), sort_keys=True)
    content = repr((pages.version, pages.content_hash, rules, said, [rule.value for rule in Rule]))
    return hashlib.sha256(content.encode()).hexdigest()


def _require_one_put(store: ObjectStore, layout: DatasetLayout, size: int) -> None:
    """Makes sure that the Parquet can be uploaded whole, before its rows are verified."""
    most = store.largest_object_bytes
    if most is not None and size > most:
        raise StorageError(
            f"the suggestions of {layout.dataset} have {size} bytes, the store takes {most} in one put",
            "split the documents over several datasets, see docs/storage.md",
        )


def _require_in_place(store: ObjectStore, layout: DatasetLayout, etag: str) -> None:
    """Makes sure that the Parquet is still ours, so that the manifest names the one beside it."""
    present = store.stat(layout.published_suggestions)
    if present is None or present.etag != etag:
        raise ConflictError(
            f"the suggestions of {layout.dataset} were published by somebody else meanwhile",
            "materialize suggestions again",
        )


def _merge(store: ObjectStore, part_keys: Sequence[str], path: Path) -> int:
    """Writes the parts one after the other into one file; returns the rows."""
    rows = 0
    with pq.ParquetWriter(path, SUGGESTIONS, compression="zstd") as writer:
        for key in part_keys:
            table = read_table(store, key)
            if not table.schema.equals(SUGGESTIONS):
                raise StorageError(f"{store.uri(key)} has other columns than suggestions must have")
            writer.write_table(table, row_group_size=_GROUP_ROWS)
            rows += table.num_rows
    return rows


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_published(manifest: SuggestionsManifest | None, before: ObjectStat | None, content_hash: str) -> bool:
    return (
        manifest is not None
        and before is not None
        and manifest.content_hash == content_hash
        and manifest.parquet_etag == before.etag
    )


def _lasting(manifest: SuggestionsManifest) -> dict[str, Any]:
    """The manifest without what changes with every run."""
    return manifest.model_dump(exclude=_VOLATILE)
