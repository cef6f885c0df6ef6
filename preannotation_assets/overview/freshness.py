"""What is published of a dataset, page by page, held against the warehouse: by text hashes, without texts."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.publishing.published_file import downloaded, rows_of
from preannotation_assets.publishing.shown_ids import shown_page
from preannotation_assets.warehouse import PageHash

__all__ = ["Freshness", "PageChange", "StalePage", "hold_against"]

_MOST_NAMED: Final = 10
_HASH_COLUMNS: Final = ("doc_id", "page_num", "text_sha256")

PageKey = tuple[str | None, int | None]


class PageChange(StrEnum):
    """How a page of the warehouse differs from what is published."""

    CHANGED = "changed"
    NEW = "not published"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class StalePage:
    """A page that differs, and how."""

    change: PageChange
    doc_id: str | None
    page_num: int | None

    def __str__(self) -> str:
        return f"{shown_page(self.doc_id or '', self.page_num)} {self.change}"


@dataclass(slots=True)
class Freshness:
    """``rows`` of the warehouse; how many pages differ, by how, and the first ten of each kind."""

    rows: int = 0
    changes: Counter[PageChange] = field(default_factory=Counter)
    stale_pages: list[StalePage] = field(default_factory=list)

    @property
    def is_fresh(self) -> bool:
        """Whether no page differs."""
        return not self.changes

    def words(self) -> str:
        """The counts, in words; empty where no page differs."""
        told = [f"{self.changes[change]} pages {change}" for change in PageChange if self.changes[change]]
        return ", ".join(told)

    def add(self, change: PageChange, key: PageKey) -> None:
        """Counts a page that differs."""
        self.changes[change] += 1
        if self.changes[change] <= _MOST_NAMED:
            self.stale_pages.append(StalePage(change, *key))


def hold_against(
    store: ObjectStore, layout: DatasetLayout, manifest: SuggestionsManifest, present: Iterable[PageHash]
) -> Freshness:
    """Holds the pages of a publication against those that the warehouse has at ``present``.

    Of pages that failed no text is known, so they differ only where they are gone. Keys and hashes of all
    published pages are held, some 300 bytes a page.

    Raises:
        VerificationError: the published Parquet is missing, another than its manifest names, or cannot be
            read.
        StorageError: the lake fails.
        WarehouseError: the view cannot be evaluated.
    """
    hashes = _published_hashes(store, layout, manifest)
    failed: set[PageKey] = {(page.doc_id, page.page_num) for page in manifest.failed_pages}
    seen: set[PageKey] = set()
    found = Freshness()
    for page in present:
        key = page.doc_id, page.page_num
        found.rows += 1
        if key in seen:
            continue
        seen.add(key)
        if key in hashes:
            if hashes[key] != page.text_sha256:
                found.add(PageChange.CHANGED, key)
        elif key not in failed:
            found.add(PageChange.NEW, key)
    for key in sorted((hashes.keys() | failed) - seen, key=repr):
        found.add(PageChange.GONE, key)
    return found


def _published_hashes(
    store: ObjectStore, layout: DatasetLayout, manifest: SuggestionsManifest
) -> dict[PageKey, str]:
    hashes: dict[PageKey, str] = {
        (page.doc_id, page.page_num): page.text_sha256 for page in manifest.pages_without_spans
    }
    with downloaded(store, layout, manifest) as path:
        for row in rows_of(path, layout.dataset, _HASH_COLUMNS):
            hashes[row["doc_id"], row["page_num"]] = row["text_sha256"]
    return hashes
