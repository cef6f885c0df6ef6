"""The event loop of a task: replies that came together are dealt with one after the other."""

import asyncio
import selectors
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

__all__ = ["LONGEST_WAIT_SECONDS", "AskingLoop", "Quiet"]

LONGEST_WAIT_SECONDS: Final = 0.25
"""How long what can wait does wait where replies come without a pause."""

Quiet = Callable[[float], Awaitable[None]]
"""Waits until nothing comes, at most until that time of the event loop."""


class _OneAtATime(selectors.DefaultSelector):
    """Tells of one event a turn of the event loop, in the order in which the system told of them.

    asyncio takes every event of a turn before it goes on with what waits for any: of 60 replies at once, all
    were read before the first was looked at, and all looked at before the first of 60 requests was sent. They
    came to the server together then, and so did the next 60 replies.
    """

    def __init__(self) -> None:
        super().__init__()
        self._untold: deque[tuple[selectors.SelectorKey, int]] = deque()
        self._until_quiet: list[asyncio.Future[None]] = []

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """An event that is still waited for; waits only where none is left of those before."""
        if not self._untold:
            self._untold.extend(super().select(0.0 if self._until_quiet else timeout))
        while self._untold:
            key, event = self._untold.popleft()
            # Another socket may have the number by now, or other events of this one may be waited for.
            if self.get_map().get(key.fd) is key:
                return [(key, event)]
        waiting, self._until_quiet = self._until_quiet, []
        for future in waiting:
            _end_wait(future)
        return []

    def wait(self, future: asyncio.Future[None]) -> None:
        """Has a future end with the next turn in which nothing came."""
        self._until_quiet.append(future)


def _end_wait(future: asyncio.Future[None]) -> None:
    """Ends it where it has not ended."""
    if not future.done():
        future.set_result(None)


class AskingLoop(asyncio.SelectorEventLoop):
    """Deals with one event a turn, and says when there is none."""

    def __init__(self) -> None:
        self._events = _OneAtATime()
        super().__init__(self._events)

    async def quiet(self, latest: float) -> None:
        """Waits until nothing comes, at most until that time: for work that can wait."""
        future = self.create_future()
        self._events.wait(future)
        at_latest = self.call_at(latest, _end_wait, future)
        try:
            await future
        finally:
            at_latest.cancel()
