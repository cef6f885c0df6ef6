"""The pieces one task still has to ask, those that wait for a retry among them."""

import asyncio
import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Backlog", "PieceToAsk"]


@dataclass(frozen=True, slots=True)
class PieceToAsk:
    """A text to ask about, and how often it was asked.

    ``start`` and ``end`` are code points of the page. Of the attempts, ``unavailable`` counts those that
    no server served, ``unusable`` those whose answer was none.
    """

    request_key: str
    start: int
    end: int
    text: str
    estimated_tokens: int
    attempts: int = 0
    unavailable: int = 0
    unusable: int = 0


class Backlog:
    """Hands out pieces until every one is finished: those asked before first, then the longest.

    ``groups`` is an iterator that may block (it reads from the lake), so it is advanced in a thread, as
    soon as fewer than ``low`` pieces are ready: nobody waits for it.
    """

    def __init__(self, groups: Iterator[Sequence[PieceToAsk]], low: int) -> None:
        self._groups = groups
        self._low = max(1, low)
        self._ready: list[tuple[bool, int, int, PieceToAsk]] = []
        self._order = itertools.count()
        self._unfinished = 0
        self._exhausted = False
        self._closed = False
        self._loading: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()

    async def take(self) -> PieceToAsk | None:
        """The next piece; waits while others may still come back.

        None when all are finished, or when the backlog was closed.

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

    async def put_back(self, piece: PieceToAsk, delay: float) -> None:
        """Lets a piece wait ``delay`` seconds and be asked again; returns when it is in line."""
        await asyncio.sleep(delay)
        async with self._changed:
            self._push(piece)
            self._changed.notify()

    async def replace(self, pieces: Iterable[PieceToAsk]) -> None:
        """Finishes a piece that was split, and puts its parts in line."""
        parts = list(pieces)
        async with self._changed:
            for part in parts:
                self._push(part)
            self._unfinished += len(parts) - 1
            self._changed.notify_all()

    async def finish(self) -> None:
        """Counts one piece as done for good."""
        async with self._changed:
            self._unfinished -= 1
            if not self._unfinished:
                self._changed.notify_all()

    async def close(self) -> None:
        """Hands out nothing more."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _push(self, piece: PieceToAsk) -> None:
        # A retry that is left for the end is waited for when nothing else is left to do.
        rank = (piece.attempts == 0, -piece.estimated_tokens, next(self._order), piece)
        heapq.heappush(self._ready, rank)

    def _load_ahead(self) -> None:
        if self._loading and self._loading.done():
            self._loading.result()
            self._loading = None
        if self._loading is None and not self._exhausted and len(self._ready) < self._low:
            self._loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        try:
            group = await asyncio.to_thread(next, self._groups, None)
            async with self._changed:
                if group is None:
                    self._exhausted = True
                else:
                    for piece in group:
                        self._push(piece)
                    self._unfinished += len(group)
        finally:
            async with self._changed:
                self._changed.notify_all()
