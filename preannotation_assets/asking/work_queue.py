"""The work items one task still has to ask about, those that wait for a retry among them."""

import asyncio
import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import regex

from preannotation_assets.asking.event_loop import LONGEST_WAIT_SECONDS, Quiet

__all__ = ["WorkItem", "WorkQueue", "expected_length"]

_CAPITALISED: Final = regex.compile(r"\b\p{Lu}\p{L}{2,}")
_NUMBER: Final = regex.compile(r"\p{Nd}+")
_CAPITALISED_TO_A_NUMBER: Final = 4.0
_TOKENS_READ_TO_A_WORD: Final = 40.0


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A text to ask about, and how often it was asked.

    ``start`` and ``end`` are code points of the page. Of the attempts, ``unavailable`` counts those that
    no server served, ``unusable`` those whose answer was none, ``denied`` those that something before the
    server did not let through. ``unusable_splits`` is how often it was cut out of a text whose answers
    were none.
    """

    request_key: str
    start: int
    end: int
    text: str = field(repr=False)
    estimated_tokens: int
    attempts: int = 0
    unavailable: int = 0
    unusable: int = 0
    denied: int = 0
    unusable_splits: int = 0


_Rank = tuple[bool, float, int, WorkItem]


def expected_length(item: WorkItem) -> float:
    """How long the answer to an item will probably take beside others; in no unit.

    An answer is as long as there is something to quote: names, which are capitalised, and numbers. The
    length of a text says little about it (over 300 pages of old newspapers: correlation 0.12, of this
    measure 0.39), but a text must also be read, some 40 tokens in the time that one is written.
    """
    names = len(_CAPITALISED.findall(item.text))
    numbers = len(_NUMBER.findall(item.text))
    return names + _CAPITALISED_TO_A_NUMBER * numbers + item.estimated_tokens / _TOKENS_READ_TO_A_WORD


class WorkQueue:
    """Hands out items until every one is finished: those asked before first, then the longest.

    The longest is the one whose answer will take longest (``expected_length``): what is left for the end
    is short, so that no slot is busy long after the others.

    ``groups`` is an iterator that may block (it reads from the lake), so it is advanced in a thread, until
    ``low`` items are ready: nobody waits for it. While at least half as many are, it is advanced when the
    event loop is ``quiet``: a thread that works takes the interpreter from the replies that come meanwhile.
    """

    def __init__(self, groups: Iterator[Sequence[WorkItem]], low: int, quiet: Quiet) -> None:
        self._groups = groups
        self._low = max(1, low)
        self._quiet = quiet
        self._ready: list[_Rank] = []
        self._order = itertools.count()
        self._unfinished = 0
        self._exhausted = False
        self._closed = False
        self._loading: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()

    async def take(self) -> WorkItem | None:
        """The next item; waits while others may still come back.

        None when all are finished, or when the queue was closed.

        Raises:
            StorageError: the next group cannot be read.
        """
        async with self._changed:
            while not self._closed:
                self._load_ahead()
                if self._ready:
                    return heapq.heappop(self._ready)[-1]
                if self._exhausted and not self._unfinished:
                    return None
                await self._changed.wait()
            return None

    async def put_back(self, item: WorkItem, delay: float) -> None:
        """Lets an item wait ``delay`` seconds and be asked again; returns when it is in line."""
        await asyncio.sleep(delay)
        async with self._changed:
            self._push(item)
            self._changed.notify()

    async def replace(self, items: Iterable[WorkItem]) -> None:
        """Finishes an item that was split, and puts its parts in line."""
        parts = list(items)
        async with self._changed:
            for part in parts:
                self._push(part)
            self._unfinished += len(parts) - 1
            self._changed.notify_all()

    async def finish(self) -> None:
        """Counts one item as done for good."""
        async with self._changed:
            self._unfinished -= 1
            if not self._unfinished:
                self._changed.notify_all()

    async def close(self) -> None:
        """Hands out nothing more."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _push(self, item: WorkItem) -> None:
        heapq.heappush(self._ready, self._rank(item))

    def _rank(self, item: WorkItem) -> _Rank:
        # A retry that is left for the end is waited for when nothing else is left to do.
        return item.attempts == 0, -expected_length(item), next(self._order), item

    def _next_group(self) -> list[_Rank] | None:
        """Called in a thread, because it may wait for the lake."""
        group = next(self._groups, None)
        return None if group is None else list(map(self._rank, group))

    def _load_ahead(self) -> None:
        if self._loading and self._loading.done():
            self._loading.result()
            self._loading = None
        if self._loading is None and not self._exhausted and len(self._ready) < self._low:
            self._loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        try:
            while len(self._ready) < self._low and not (self._exhausted or self._closed):
                if 2 * len(self._ready) >= self._low:
                    await self._quiet(asyncio.get_running_loop().time() + LONGEST_WAIT_SECONDS)
                self._add(await asyncio.to_thread(self._next_group))
                async with self._changed:
                    self._changed.notify_all()
        finally:
            async with self._changed:
                self._changed.notify_all()

    def _add(self, group: Sequence[_Rank] | None) -> None:
        if group is None:
            self._exhausted = True
            return
        for rank in group:
            heapq.heappush(self._ready, rank)
        self._unfinished += len(group)
