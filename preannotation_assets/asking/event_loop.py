"""The event loop of a task: replies that came together are dealt with one after the other."""

import asyncio
import selectors
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

__all__ = ["LONGEST_WAIT_SECONDS", "AskingLoop", "Quiet"]

LONGEST_WAIT_SECONDS: Final = 0.25
"""What can wait is done so long after it was begun where replies come without a pause."""

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
        self.is_quiet = True

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """An event that is still waited for; waits only where none is left of those before."""
        if not self._untold:
            self._untold.extend(super().select(timeout))
        while self._untold:
            key, event = self._untold.popleft()
            # Another socket may have the number by now, or other events of this one may be waited for.
            if self.get_map().get(key.fd) is key:
                self.is_quiet = False
                return [(key, event)]
        self.is_quiet = True
        return []


class AskingLoop(asyncio.SelectorEventLoop):
    """Deals with one event a turn, and says when there is none."""

    def __init__(self) -> None:
        self._events = _OneAtATime()
        super().__init__(self._events)

    async def quiet(self, latest: float) -> None:
        """Waits a turn, and until nothing comes, at most until that time: for work that can wait."""
        await asyncio.sleep(0)
        while not self._events.is_quiet and self.time() < latest:
            await asyncio.sleep(0)
