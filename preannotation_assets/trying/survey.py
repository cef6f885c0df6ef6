"""One pass over a batch: how large it is, and a few of its pages. Bounded memory, no clock, no chance."""

import hashlib
import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from preannotation_assets.extraction.chunking import ChunkLimits, chunk_page
from preannotation_assets.extraction.pages import PageRow, text_sha256

__all__ = ["BatchSize", "PageSample", "SizeCount", "survey"]

_MOST_MEASURED: Final = 20_000


@dataclass(frozen=True, slots=True)
class BatchSize:
    """What a batch comes to. ``requests`` are still to be made, about ``tokens`` estimated tokens of text.

    ``all_requests`` counts those that were answered before as well. ``is_exact`` is False where only
    every n-th page was cut into chunks, and the rest reckoned from that by the length of the text.
    """

    pages: int
    characters: int
    all_requests: int
    requests: int
    tokens: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class _PageSize:
    characters: int
    all_requests: int
    requests: int
    tokens: int


class PageSample:
    """The same ``size`` pages of a batch each time, spread over it: those whose ids have the lowest hashes.

    A page that joins the batch changes the sample by one page at most.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lowest: list[tuple[int, str, int, PageRow]] = []

    def offer(self, page: PageRow) -> None:
        """Looks at a page; pages differ in doc_id or page_num."""
        digest = hashlib.sha256(f"{page.doc_id}:{page.page_num}".encode("utf-8", "surrogatepass")).digest()
        # A heap has its smallest entry on top, and the highest hash is to go first.
        entry = (-int.from_bytes(digest[:8]), page.doc_id, page.page_num, page)
        if len(self._lowest) < self._size:
            heapq.heappush(self._lowest, entry)
        elif self._lowest and entry[:3] > self._lowest[0][:3]:
            heapq.heapreplace(self._lowest, entry)

    def pages(self) -> list[PageRow]:
        """The sample, by doc_id and page_num."""
        return sorted((entry[3] for entry in self._lowest), key=lambda page: (page.doc_id, page.page_num))


@dataclass(slots=True)
class SizeCount:
    """Adds up a batch. Beyond ``most_measured`` pages it measures every second, fourth, … page only.

    ``is_answered`` tells by the hash of a chunk's text whether it need not be asked again; chunks of the
    same text are one request.
    """

    limits: ChunkLimits
    is_answered: Callable[[str], bool]
    most_measured: int = _MOST_MEASURED
    _pages: int = 0
    _characters: int = 0
    _stride: int = 1
    _measured: list[_PageSize] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def add(self, text: str) -> None:
        """Counts one page."""
        if self._pages % self._stride == 0:
            self._measured.append(self._measure(text))
            if len(self._measured) > self.most_measured:
                self._measured = self._measured[::2]
                self._stride *= 2
        self._pages += 1
        self._characters += len(text)

    def total(self) -> BatchSize:
        """The whole batch."""
        measured = sum(size.characters for size in self._measured)
        share = self._characters / measured if measured and self._stride > 1 else 1.0
        return BatchSize(
            pages=self._pages,
            characters=self._characters,
            all_requests=round(share * sum(size.all_requests for size in self._measured)),
            requests=round(share * sum(size.requests for size in self._measured)),
            tokens=round(share * sum(size.tokens for size in self._measured)),
            is_exact=self._stride == 1,
        )

    def _measure(self, text: str) -> _PageSize:
        all_requests = requests = tokens = 0
        for chunk in chunk_page(text, self.limits):
            digest = text_sha256(text[chunk.start : chunk.end])
            if digest in self._seen:
                continue
            self._seen.add(digest)
            all_requests += 1
            if not self.is_answered(digest):
                requests += 1
                tokens += chunk.estimated_tokens
        return _PageSize(len(text), all_requests, requests, tokens)


def survey(
    pages: Iterable[PageRow], sample: PageSample, size: SizeCount, is_wanted: Callable[[PageRow], bool]
) -> None:
    """Shows every page to the count, and those that are wanted and not blank to the sample."""
    for page in pages:
        size.add(page.text)
        if is_wanted(page) and page.text.strip():
            sample.offer(page)
