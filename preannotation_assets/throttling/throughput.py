"""Work a second of a server, measured while the requests in flight change. Pure."""

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

__all__ = ["InFlightHistory", "Throughput"]

_MOST_MOMENTS: Final = 16_384


@dataclass(slots=True)
class InFlightHistory:
    """How many requests were in flight when, and so what share of the server a request had.

    The share of a request is the integral of ``1 / in flight`` over its time: the seconds that the server
    would have spent on it alone, were it shared out equally.
    """

    _times: list[float] = field(default_factory=list)
    _shares: list[float] = field(default_factory=list)
    _in_flight: list[int] = field(default_factory=list)

    def note(self, in_flight: int, now: float) -> None:
        """From now on so many are in flight; ``now`` never goes back."""
        in_flight = max(1, in_flight)
        if self._in_flight and self._in_flight[-1] == in_flight:
            return
        self._shares.append(self._until(now))
        self._times.append(now)
        self._in_flight.append(in_flight)
        if len(self._times) > _MOST_MOMENTS:
            for moments in (self._times, self._shares, self._in_flight):
                del moments[: _MOST_MOMENTS // 2]

    def share(self, began: float, now: float) -> float:
        """The share of a request that took from ``began`` to ``now``, in seconds."""
        return self._until(now) - self._until(began)

    def _until(self, moment: float) -> float:
        if not self._times:
            return 0.0
        place = max(0, bisect_right(self._times, moment) - 1)
        return self._shares[place] + (moment - self._times[place]) / self._in_flight[place]


@dataclass(slots=True)
class Throughput:
    """What answered requests tell of the work that a server does a second.

    By Little's law work a second is the work of the requests over their shares of the server. Where
    each advances at the same pace, as in one batch, that is exact after one answer, however long it is;
    where they wait, it is as noisy as the answers are unequal (``error``).
    """

    answers: int = 0
    _work: float = 0.0
    _share: float = 0.0
    _seconds: float = 0.0
    _work_squared: float = 0.0
    _work_by_share: float = 0.0
    _share_squared: float = 0.0

    def add(self, work: float, share: float, seconds: float) -> None:
        """Counts an answer of so much work in so many seconds."""
        self.answers += 1
        self._work += work
        self._share += share
        self._seconds += seconds
        self._work_squared += work * work
        self._work_by_share += work * share
        self._share_squared += share * share

    @property
    def rate(self) -> float:
        """Work a second of the whole server."""
        return self._work / self._share if self._share > 0 else 0.0

    @property
    def in_flight(self) -> float:
        """How many requests were in flight, in the mean over the time of the requests."""
        return self._seconds / self._share if self._share > 0 else 0.0

    @property
    def error(self) -> float:
        """The standard error of the rate, as a share of it."""
        if self.answers <= 1 or self._work <= 0:
            return math.inf
        rate = self.rate
        squares = self._work_squared - 2 * rate * self._work_by_share + rate * rate * self._share_squared
        return math.sqrt(max(0.0, squares)) / self._work
