"""One walk over a snapshot and all that is published of it: one page is held at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from preannotation_assets.lake import Row
from preannotation_assets.manifests import FailedPage, PageVersion, SuggestionsManifest
from preannotation_assets.page_lists import in_order, page_rows
from preannotation_assets.publishing.aligned_pages import PageKey, aligned

__all__ = ["PageWalk", "WalkedPage", "listed_rows", "walk_pages"]


@dataclass(frozen=True, slots=True)
class WalkedPage:
    """A page and all that is said of it.

    ``page`` is None where the snapshot has no such page; ``rows`` are published now, ``earlier`` were by the
    publication before. ``without_spans`` and ``failed`` are what the manifest has of it.
    """

    key: PageKey
    page: Row | None
    rows: Sequence[Row]
    without_spans: Sequence[Row]
    failed: Sequence[Row]
    earlier: Sequence[Row]


PageWalk: TypeAlias = Iterator[WalkedPage]
"""Pages one after the other, in order."""


def walk_pages(
    pages: Iterable[Row],
    rows: Iterable[Row],
    manifest: SuggestionsManifest | None = None,
    earlier: Iterable[Row] = (),
) -> PageWalk:
    """Every page that one of these has; all are sorted by doc_id and page_num, and read to their ends."""
    without_spans = listed_rows(manifest.pages_without_spans) if manifest else iter(())
    failed = listed_rows(manifest.failed_pages) if manifest else iter(())
    for key, (found, *others) in aligned(pages, rows, without_spans, failed, earlier):
        yield WalkedPage(key, found[0] if found else None, *others)


def listed_rows(pages: Sequence[PageVersion] | Sequence[FailedPage]) -> Iterator[Row]:
    """Pages of a manifest as rows that are sorted by doc_id and page_num, of which one is made at a time.

    Those without a number are left out: the snapshot has none.
    """
    return page_rows(page for page in in_order(pages) if page.page_num is not None)
