"""A clock of its own: what happens when, in order of time, and of equals in order of planning."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Action", "Desk", "Events"]

Action = Callable[[], None]


@dataclass(slots=True)
class Events:
    """What is to happen; ``now`` is in seconds since the start."""

    now: float = 0.0
    _planned: list[tuple[float, int, Action]] = field(default_factory=list)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)

    def after(self, seconds: float, action: Action) -> None:
        """Plans something for so many seconds from now."""
        heapq.heappush(self._planned, (self.now + seconds, next(self._order), action))

    def run(self) -> None:
        """Lets everything happen until nothing is planned any more."""
        while self._planned:
            self.now, _, action = heapq.heappop(self._planned)
            action()


@dataclass(slots=True)
class Desk:
    """``places`` that each do one thing at a time, for ``seconds``; first come, first served."""

    events: Events
    places: int
    seconds: float
    _busy: int = 0
    _waiting: deque[Action] = field(default_factory=deque)

    def pass_through(self, then: Action) -> None:
        """Plans ``then`` for when a place has been free and is done."""
        if not self.seconds:
            then()
        elif self._busy < self.places:
            self._busy += 1
            self._serve(then)
        else:
            self._waiting.append(then)

    def _serve(self, then: Action) -> None:
        self.events.after(self.seconds, lambda: self._served(then))

    def _served(self, then: Action) -> None:
        if self._waiting:
            self._serve(self._waiting.popleft())
        else:
            self._busy -= 1
        then()
