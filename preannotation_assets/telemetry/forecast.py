"""When the asking will be done: the time that slots have still to be busy, shared out over the slots."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from preannotation_assets.throttling.dispatcher import Progress

__all__ = ["Forecast", "Work"]

# What a request costs besides its text, in tokens of text: an empty answer, the way there and back.
_TOKENS_A_REQUEST: Final = 50
_SPEED_SECONDS: Final = 300.0
_SLOTS_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Work:
    """What a run has to ask: requests, and the estimated tokens of their texts."""

    requests: int
    tokens: int

    def is_open(self, progress: Progress) -> bool:
        """Whether a request is still to be made or to be ended."""
        ended = progress.answered + progress.failed
        return ended < self.requests_in_all(progress) or progress.in_flight > 0

    def requests_in_all(self, progress: Progress) -> int:
        """The requests, with those that splitting has added."""
        return self.requests + progress.added

    def requests_done(self, progress: Progress) -> int:
        """Those that are answered or failed; all of them only when no request is open.

        A task that was killed asks once more what it had said to be done.
        """
        if not self.is_open(progress):
            return self.requests_in_all(progress)
        return min(progress.answered + progress.failed, self.requests_in_all(progress) - 1)

    def tokens_left(self, progress: Progress) -> int:
        """The estimate of what is not done, with what splitting has added; rounding may bring it to 0."""
        return max(0, self.tokens + progress.added_tokens - progress.done_tokens)


@dataclass(frozen=True, slots=True)
class _Moment:
    """How far it was: ``size`` of what is done, and how long slots were busy, for that and in all."""

    seconds: float
    size: int
    busy_seconds: float
    slot_seconds: float

    @classmethod
    def of(cls, progress: Progress) -> "_Moment":
        """What will hardly come again is not counted as work: warm-ups, and the texts that were too long."""
        warm_ups = sum(totals.warm_up_seconds for totals in progress.totals.values())
        return cls(
            progress.seconds,
            progress.done_tokens + _TOKENS_A_REQUEST * (progress.answered + progress.failed),
            progress.busy_seconds - warm_ups - progress.split_seconds,
            progress.busy_seconds + progress.open_seconds,
        )


@dataclass(slots=True)
class Forecast:
    """When the rest of the work will be done, as fast as it went in the last 5 minutes.

    Texts differ in length, and the longest are asked first: so a request counts by the tokens of its text,
    with something for the request itself. What it took is the time of slots, not of the clock: so requests in
    flight count as far as they have come, and what is left is shared by the slots that have something to do.
    """

    work: Work
    _before: _Moment = _Moment(0.0, 0, 0.0, 0.0)
    _moments: deque[_Moment] = field(default_factory=deque)

    def seconds_left(self, progress: Progress) -> float | None:
        """Seconds; None while nothing is done or in flight, or where the estimate is used up too early."""
        now = _Moment.of(progress)
        if now.slot_seconds > 0:
            self._moments.append(now)
        # Requests may take longer than that: something must have been done since.
        while self._moments and self._is_old(self._moments[0], now):
            self._before = self._moments.popleft()
        if not self.work.is_open(progress):
            return 0.0
        slots, size = self._slots(now), now.size - self._before.size
        if not slots or size <= 0:
            return None
        requests = max(1, self.work.requests_in_all(progress) - progress.answered - progress.failed)
        left = self.work.tokens_left(progress) + _TOKENS_A_REQUEST * requests
        busy = (now.busy_seconds - self._before.busy_seconds) / size * left - progress.open_seconds
        return busy / min(slots, requests) if busy > 0 else None

    @staticmethod
    def _is_old(moment: _Moment, now: _Moment) -> bool:
        return moment.seconds < now.seconds - _SPEED_SECONDS and moment.size < now.size

    def _slots(self, now: _Moment) -> float:
        """How many slots were busy on average, lately; 0 before the first request."""
        began = now.seconds - _SLOTS_SECONDS
        earlier = [moment for moment in self._moments if moment.seconds <= began]
        first = earlier[-1] if earlier else self._moments[0] if self._moments else now
        seconds = now.seconds - first.seconds
        return (now.slot_seconds - first.slot_seconds) / seconds if seconds > 0 else 0.0
