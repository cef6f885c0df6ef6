"""Writes the snapshot of a batch: the pages as they stream in, checked, in parts."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Final

import pyarrow as pa

from preannotation_assets.contracts import PAGES
from preannotation_assets.extraction.pages import PageFault, PageRow
from preannotation_assets.lake import ObjectStore, write_batches
from preannotation_assets.lake.layout import part_key
from preannotation_assets.manifests import FailedPage
from preannotation_assets.page_lists import PageList

__all__ = ["Snapshot", "part_sizes", "write_snapshot"]

_BATCH_ROWS: Final = 200
_SMALLEST_PART: Final = 50
_PARTS_OF_A_SIZE: Final = 8


@dataclass(slots=True)
class Snapshot:
    """What was written. ``content_hash`` is over the ids and text hashes of all pages, in order."""

    part_rows: list[int] = field(default_factory=list)
    failed_pages: PageList[FailedPage] = field(default_factory=lambda: PageList(FailedPage))
    empty_pages: int = 0
    characters: int = 0
    collapsed_duplicates: int = 0
    content_hash: str = ""

    @property
    def pages(self) -> int:
        """The good pages."""
        return sum(self.part_rows)


def write_snapshot(
    store: ObjectStore, folder: str, checked: Iterable[PageRow | PageFault], pages_a_part: int
) -> Snapshot:
    """Writes the good pages in parts of ``pages_a_part`` at most and takes note of the others.

    One part is in memory at a time; each is written whole.

    Raises:
        StorageError: the lake cannot be written.
    """
    snapshot = Snapshot()
    content = hashlib.sha256()
    pages, sizes = _good_pages(checked, snapshot, content), part_sizes(pages_a_part)
    first = next(pages, None)
    while first is not None:
        key = part_key(folder, len(snapshot.part_rows))
        stat = write_batches(store, key, PAGES, _batches(first, pages, next(sizes)))
        snapshot.part_rows.append(stat.rows)
        first = next(pages, None)
    snapshot.content_hash = content.hexdigest()
    return snapshot


def part_sizes(most: int) -> Iterator[int]:
    """The sizes of the parts in pages, one after the other: 8 of 50, 8 of 100 and so on, up to ``most``.

    How many pages there are is not known before the last: so a small batch has parts for all cores, and a
    large one has few files.
    """
    size = min(_SMALLEST_PART, most)
    while size < most:
        yield from repeat(size, _PARTS_OF_A_SIZE)
        size = min(2 * size, most)
    yield from repeat(most)


def _good_pages(
    checked: Iterable[PageRow | PageFault], snapshot: Snapshot, content: "hashlib._Hash"
) -> Iterator[PageRow]:
    for page in checked:
        if isinstance(page, PageFault):
            snapshot.failed_pages.append(
                FailedPage(doc_id=page.doc_id, page_num=page.page_num, reason=page.fault.value)
            )
            continue
        snapshot.empty_pages += not page.text.strip()
        snapshot.characters += len(page.text)
        snapshot.collapsed_duplicates += page.copies - 1
        content.update(repr((page.doc_id, page.page_num, page.text_sha256)).encode())
        yield page


def _batches(first: PageRow, pages: Iterator[PageRow], size: int) -> Iterator[pa.RecordBatch]:
    """The first page and those that follow it, up to one part."""
    rows = [_row(first)]
    for count in range(1, size + 1):
        page = next(pages, None) if count < size else None
        if page is None or len(rows) == _BATCH_ROWS:
            yield pa.RecordBatch.from_pylist(rows, schema=PAGES)
            rows = []
        if page is None:
            return
        rows.append(_row(page))


def _row(page: PageRow) -> dict[str, Any]:
    return {
        "doc_id": page.doc_id,
        "page_num": page.page_num,
        "text": page.text,
        "text_sha256": page.text_sha256,
    }
