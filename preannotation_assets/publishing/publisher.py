"""One atomic publication: merge, verify, skip if unchanged, one conditional write, manifest after.

A reader that looks at any moment sees the old Parquet or the new one, because there is only ever one
object and it is replaced whole. The manifest follows it and names its etag, so that a reader who needs
both can tell whether they belong together.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, TypeAlias, TypeGuard

import pyarrow.parquet as pq

from preannotation_assets.contracts import PAGES, SUGGESTIONS
from preannotation_assets.errors import ConflictError, StorageError, VerificationError
from preannotation_assets.lake import ObjectStat, ObjectStore, Row, read_table
from preannotation_assets.lake.batch import iterate_rows, read_manifest, require_manifest, write_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import PagesManifest, SuggestionsManifest, Verification
from preannotation_assets.page_lists import page_lists
from preannotation_assets.publishing.losses import RowComparison, asks_the_same, require_rows_kept
from preannotation_assets.publishing.page_states import PageStates
from preannotation_assets.publishing.page_walk import walk_pages
from preannotation_assets.publishing.published_file import (
    PARQUET_FILE,
    downloaded,
    rows_of,
    sha256_of,
    verify_file,
)
from preannotation_assets.publishing.verification import Rule, SpanRules, VerificationReport, verify_rows
from preannotation_assets.temporary_folders import temporary_file

__all__ = ["Publication", "publish", "recall_verification", "verify_dataset"]

_GROUP_ROWS: Final = 50_000
_VERIFIED_COLUMNS: Final = [name for name in SUGGESTIONS.names if name != "generated_at"]
_PAGE_COLUMNS: Final = ("doc_id", "page_num", "text_sha256")

Passing: TypeAlias = Callable[[Iterator[Row]], Iterator[Row]]
"""Passes the pages of the snapshot on, one after the other."""

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
    most_rows_lost: float,
    passing: Passing = iter,
) -> Publication:
    """Publishes the rows of the parts, which must be sorted and in order.

    ``pages`` is the snapshot they are of; ``draft`` the manifest with everything but rows, bytes, hash, etag
    and comparison, which are filled in here. ``most_rows_lost`` is the share of the rows before that may be
    gone on pages that were asked the same. The snapshot's pages go through ``passing`` as they are verified.

    Raises:
        RowsLostError: more rows than that are gone; what was published stays.
        VerificationError: a row breaks the contract, or a page is unaccounted for; nothing is published.
        ConflictError: somebody else published meanwhile.
        StorageError: the lake fails, or the Parquet is larger than one put may be.
    """
    before = store.stat(layout.published_suggestions)
    with temporary_file(PARQUET_FILE) as merged:
        rows = _merge(store, part_keys, merged)
        _require_one_put(store, layout, merged.stat().st_size)
        manifest = _of_parquet(draft, merged, rows)
        published = read_manifest(store, layout.published_manifest, SuggestionsManifest)
        unchanged = _is_published(published, before, manifest.content_hash)
        comparison = RowComparison()
        with _earlier_rows(store, layout, published, before, manifest) as earlier:
            report = _verify(store, layout, pages, merged, manifest, rules, passing, earlier, comparison)
        if not report.passed:
            raise VerificationError(f"nothing is published for {layout.dataset}", report.summary())
        compared = published.comparison if published and unchanged else comparison.result()
        if not unchanged:
            require_rows_kept(layout.dataset, compared, most_rows_lost)
        manifest = manifest.model_copy(update={"comparison": compared})
        etag = before.etag if before else None
        if etag is None or not unchanged:
            etag = store.upload_if(layout.published_suggestions, merged, etag)
    verification = Verification(
        subject=_subject(pages, manifest, rules), rows=report.rows, shifted_pages=report.shifted_pages
    )
    manifest = manifest.model_copy(update={"parquet_etag": etag, "verification": verification})
    if published is None or _says_other(published, manifest):
        _require_in_place(store, layout, etag)
        write_manifest(store, layout.published_manifest, manifest)
        return Publication(manifest, changed=not unchanged)
    return Publication(published, changed=not unchanged)


def _of_parquet(draft: SuggestionsManifest, merged: Path, rows: int) -> SuggestionsManifest:
    size, content_hash = merged.stat().st_size, sha256_of(merged)
    return draft.model_copy(update={"rows": rows, "bytes": size, "content_hash": content_hash})


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
    with downloaded(store, layout, manifest) as path:
        verify_file(path, manifest)
        return _verify(store, layout, pages, path, manifest, rules, iter, (), RowComparison())


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


def _verify(
    store: ObjectStore,
    layout: DatasetLayout,
    pages: PagesManifest,
    path: Path,
    manifest: SuggestionsManifest,
    rules: SpanRules,
    passing: Passing,
    earlier: Iterable[Row],
    comparison: RowComparison,
) -> VerificationReport:
    """Checks every row of a local Parquet, and the state of every page, in one walk over the snapshot.

    On the way the rows are counted beside the ``earlier`` ones.
    """
    snapshot = iterate_rows(store, layout.stage("pages", pages.version), len(pages.part_rows), PAGES)
    rows = rows_of(path, layout.dataset, _VERIFIED_COLUMNS)
    walk = walk_pages(passing(snapshot), rows, manifest, comparison.reading(earlier))
    of_pages = VerificationReport()
    report = verify_rows(
        comparison.noting(PageStates(manifest).checked(walk, of_pages)),
        rules.labels,
        overlaps_allowed=rules.overlaps_allowed,
    )
    report.take_in(of_pages)
    return report


@contextlib.contextmanager
def _earlier_rows(
    store: ObjectStore,
    layout: DatasetLayout,
    published: SuggestionsManifest | None,
    before: ObjectStat | None,
    manifest: SuggestionsManifest,
) -> Iterator[Iterable[Row]]:
    """Lends the rows of the publication before; none where it is the same, or cannot be compared."""
    with contextlib.ExitStack() as opened:
        rows: Iterable[Row] = ()
        if _is_comparable(published, before, manifest):
            # Nothing that is wrong with what is there may keep something right from taking its place.
            with contextlib.suppress(VerificationError):
                path = opened.enter_context(downloaded(store, layout, published))
                rows = rows_of(path, layout.dataset, _PAGE_COLUMNS)
        yield rows


def _is_comparable(
    published: SuggestionsManifest | None, before: ObjectStat | None, manifest: SuggestionsManifest
) -> TypeGuard[SuggestionsManifest]:
    return (
        published is not None
        and before is not None
        and published.parquet_etag == before.etag
        and published.content_hash != manifest.content_hash
        and asks_the_same(published, manifest)
    )


def _subject(pages: PagesManifest, manifest: SuggestionsManifest, rules: SpanRules) -> str:
    """Names what a verification is about: snapshot, label scheme, all that the manifest says, and the rules.

    What was published before there was a rule has not been held against it.
    """
    excluded = _VOLATILE | page_lists(SuggestionsManifest).keys() | {"parquet_etag", "verification"}
    # Sorted: counts come back from the lake in another order than they were made in.
    said = json.dumps(manifest.model_dump(mode="json", exclude=excluded), sort_keys=True)
    content = repr((pages.version, pages.content_hash, rules, said, [rule.value for rule in Rule]))
    digest = hashlib.sha256(content.encode())
    for page in chain(manifest.pages_without_spans, manifest.failed_pages):
        digest.update(repr(page).encode())
    return digest.hexdigest()


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


def _is_published(manifest: SuggestionsManifest | None, before: ObjectStat | None, content_hash: str) -> bool:
    return (
        manifest is not None
        and before is not None
        and manifest.content_hash == content_hash
        and manifest.parquet_etag == before.etag
    )


def _says_other(published: SuggestionsManifest, manifest: SuggestionsManifest) -> bool:
    """Whether they differ in anything but what changes with every run."""
    lasting = SuggestionsManifest.model_fields.keys() - _VOLATILE
    return any(getattr(published, name) != getattr(manifest, name) for name in lasting)
