"""Checks chunks against the pages they were cut from, in one streaming pass."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from preannotation_assets.lake import Row
from preannotation_assets.publishing.aligned_pages import PageKey, aligned, page_key

__all__ = ["ChunkFault", "ChunkReport", "ChunkRule", "verify_chunks"]

_MOST_NAMED: Final = 20


class ChunkRule(StrEnum):
    """What every chunk, and the chunks of a page together, must obey."""

    PAGE = "the chunk's page is in the snapshot"
    TEXT = "text is page_text[start:end]"
    COVERAGE = "the chunks of a page cover all of it but blanks"


@dataclass(frozen=True, slots=True)
class ChunkFault:
    """A page whose chunks break a rule."""

    rule: ChunkRule
    doc_id: str
    page_num: int


@dataclass(slots=True)
class ChunkReport:
    """How many chunks were read, how many faults there are, and the first 20 of them."""

    chunks: int = 0
    count: int = 0
    first: list[ChunkFault] = field(default_factory=list)

    def add(self, rule: ChunkRule, key: PageKey) -> None:
        """Counts a fault."""
        self.count += 1
        if self.count <= _MOST_NAMED:
            self.first.append(ChunkFault(rule, *key))


def verify_chunks(pages: Iterable[Row], chunks: Iterable[Row]) -> ChunkReport:
    """Holds every chunk against its page; both must be sorted by doc_id and page_num, as they are kept.

    One page and its chunks are held at a time.
    """
    report = ChunkReport()
    for key, (of_snapshot, of_page) in aligned(pages, chunks):
        report.chunks += len(of_page)
        if of_snapshot:
            _verify_page(of_snapshot[0], of_page, report)
        else:
            report.add(ChunkRule.PAGE, key)
    return report


def _verify_page(page: Row, chunks: list[Row], report: ChunkReport) -> None:
    key, text, reach, is_covered = page_key(page), page["text"], 0, True
    for chunk in chunks:
        start, end = chunk["start"], chunk["end"]
        if not 0 <= start < end <= len(text) or chunk["text"] != text[start:end]:
            report.add(ChunkRule.TEXT, key)
        is_covered = is_covered and not text[reach:start].strip()
        reach = max(reach, end)
    if not is_covered or text[reach:].strip():
        report.add(ChunkRule.COVERAGE, key)
