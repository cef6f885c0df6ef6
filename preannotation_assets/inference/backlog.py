"""The pieces one task still has to ask, those that wait for a retry among them."""

import asyncio
from collections import deque
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
    """Hands out pieces until every one is finished; loads the next group when it runs dry.

    ``groups`` is an iterator that may block (it reads from the lake), so it is advanced in a thread.
    """

    def __init__(self, groups: Iterator[Sequence[PieceToAsk]]) -> None:
        self._groups = groups
        self._ready: deque[PieceToAsk] = deque()
        self._unfinished = 0
        self._exhausted = False
        self._closed = False
        self._changed = asyncio.Condition()

    async def take(self) -> PieceToAsk | None:
        """The next piece; waits while others may still come back.

        None when all are finished, or when the backlog was closed.
        """
        async with self._changed:
            while not self._ready and not self._closed:
                if not self._exhausted:
                    await self._load()
                elif not self._unfinished:
                    return None
                else:
                    await self._changed.wait()
            return None if self._closed else self._ready.popleft()

    async def put_back(self, piece: PieceToAsk, delay: float) -> None:
        """Lets a piece wait ``delay`` seconds and be asked again; returns when it is in line."""
        await asyncio.sleep(delay)
        async with self._changed:
            self._ready.append(piece)
            self._changed.notify()

    async def replace(self, pieces: Iterable[PieceToAsk]) -> None:
        """Finishes a piece that was split, and puts its parts first."""
        parts = list(pieces)
        async with self._changed:
            self._ready.extendleft(reversed(parts))
            self._unfinished += len(parts) - 1
            self._changed.notify_all()

    async def finish(self) -> None:
        """Counts one piece as done for good."""
        async with self._changed:
            self._unfinished -= 1
            self._changed.notify_all()

    async def close(self) -> None:
        """Hands out nothing more."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def _load(self) -> None:
        group = await asyncio.to_thread(next, self._groups, None)
        if group is None:
            self._exhausted = True
            self._changed.notify_all()
            return
        self._ready.extend(group)
        self._unfinished += len(group)
