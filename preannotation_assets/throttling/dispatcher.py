"""The state of a run's permits: who waits, what is in flight where, and what has been done."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from preannotation_assets.contracts import AttemptOutcome
from preannotation_assets.errors import RunStoppedError
from preannotation_assets.throttling.endpoint_pool import EndpointPool, EndpointState, Feedback
from preannotation_assets.throttling.host_semaphore import HostSemaphore
from preannotation_assets.throttling.permit_messages import FailureSignal, Permit, PermitReport

__all__ = ["Dispatcher", "EndpointTotals", "Limits", "Progress"]

_FAILURES_LOOKED_AT: Final = 100
_FEWEST_FAILURES: Final = 20
# Tasks whose permits come and go need not have the same number at each moment.
_MORE_THAN_SHARE: Final = 1.125
# Where a task names no reason.
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard the endpoints are pushed, and when a run gives up.

    ``max_in_flight`` is requests an endpoint, ``min_in_flight`` how few backing off may leave.
    ``max_failure_rate`` is the share of the last 100 chunks (of at least 20) that may fail.
    ``linger_seconds`` is how long a permit rests whose request the server may not know to have ended,
    ``first_rest_seconds`` how long an endpoint rests that failed three times in a row. ``warm_ups`` is how
    many of the first requests to an endpoint come after one that reads the constant part of the prompt.
    """

    max_in_flight: int
    min_in_flight: int = 1
    max_failure_rate: float = 0.3
    linger_seconds: float = 1.0
    first_rest_seconds: float = 2.0
    warm_ups: int = 0


@dataclass(slots=True)
class EndpointTotals:
    """What one endpoint has done; ``busy_seconds`` is the time its permits were out.

    ``repeated`` counts its attempts that gave nothing, by reason. ``cached_tokens`` are those of the
    ``prompt_tokens`` that it had read before, None as long as it has not told. ``warm_up_tokens`` are those
    of them that ``warm_ups`` requests read, in ``warm_up_seconds``.
    """

    answered: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    busy_seconds: float = 0.0
    failed: int = 0
    repeated: Counter[str] = field(default_factory=Counter)
    cached_tokens: int | None = None
    warm_ups: int = 0
    warm_up_tokens: int = 0
    warm_up_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run has done so far. ``repeated`` counts attempts that gave nothing, by reason.

    ``split`` counts the answers that did not fit, ``salvaged`` those of them whose complete part was kept.
    ``added`` is how many requests there are more for that, and ``added_tokens`` the estimate of what they ask
    twice. ``done_tokens`` is the estimate of the text that is answered or failed, without the prompt around
    it. ``empty`` of the answers name nothing. ``open_seconds`` is how long the permits that are out have been
    out so far, over all of them, ``split_seconds`` what the requests took whose texts were then split.
    """

    seconds: float
    answered: int
    failed: int
    split: int
    repeated: Mapping[str, int]
    endpoints: Mapping[str, EndpointState]
    totals: Mapping[str, EndpointTotals]
    salvaged: int = 0
    added: int = 0
    done_tokens: int = 0
    added_tokens: int = 0
    empty: int = 0
    open_seconds: float = 0.0
    split_seconds: float = 0.0

    @property
    def in_flight(self) -> int:
        """Requests that are open, over all endpoints."""
        return sum(state.in_flight for state in self.endpoints.values())

    @property
    def prompt_tokens(self) -> int:
        """Tokens read, cached ones included."""
        return sum(totals.prompt_tokens for totals in self.totals.values())

    @property
    def answer_tokens(self) -> int:
        """Tokens written."""
        return sum(totals.answer_tokens for totals in self.totals.values())

    @property
    def busy_seconds(self) -> float:
        """Seconds that permits were out which have come back, over all of them."""
        return sum(totals.busy_seconds for totals in self.totals.values())


@dataclass(slots=True)
class _Settled:
    """Whether each of the last chunks failed, and why the last one did."""

    failures: deque[bool] = field(default_factory=lambda: deque(maxlen=_FAILURES_LOOKED_AT))
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, failed: bool, reason: str | None) -> None:
        self.failures.append(failed)
        if failed:
            self.reasons[reason or _UNKNOWN] += 1

    def complaint(self, max_rate: float) -> str | None:
        failed, of = sum(self.failures), len(self.failures)
        if of < _FEWEST_FAILURES or failed <= max_rate * of:
            return None
        reasons = ", ".join(f"{reason} {count} times" for reason, count in self.reasons.most_common(3))
        return f"{failed} of the last {of} chunks failed ({reasons} in all)"


class Dispatcher:
    """Touched only from the event loop of the permit server.

    ``semaphores`` are by endpoint, where the cap is shared with other runs.
    """

    def __init__(
        self, endpoints: Sequence[str], limits: Limits, semaphores: Mapping[str, HostSemaphore] | None = None
    ) -> None:
        self.pool = EndpointPool(
            endpoints, limits.max_in_flight, limits.min_in_flight, limits.first_rest_seconds
        )
        self.waiting: deque[asyncio.Future[Permit]] = deque()
        # Tasks with a wish among them.
        self.wishing_tasks = 0
        # Of those that have few permits, the wish that is to be met before the others.
        self.first_wishes: dict[asyncio.Future[Permit], None] = {}
        self.stop_message: str | None = None
        self._limits = limits
        self._semaphores = semaphores or {}
        self._started = time.monotonic()
        self._counts: Counter[AttemptOutcome] = Counter()
        self._repeated: Counter[str] = Counter()
        self._done_tokens = 0
        self._added = 0
        self._empty = 0
        self._split_seconds = 0.0
        self._out = 0
        # The moments at which they were granted, added up.
        self._granted = 0.0
        self._added_tokens = 0
        self._totals = {endpoint: EndpointTotals() for endpoint in endpoints}
        self._warm_ups_left = dict.fromkeys(endpoints, limits.warm_ups)
        self._settled = _Settled()

    @property
    def is_short_of_slots(self) -> bool:
        """Whether somebody waits for a slot that another run may give back at any moment."""
        return bool(self._semaphores) and bool(self.waiting)

    def hand_out(self) -> None:
        """Gives every free permit to a task that has few, else to whoever has waited longest."""
        while (wish := self._next_wish()) is not None:
            endpoint = self._acquire()
            if endpoint is None:
                return
            warm_up = self._warm_ups_left[endpoint] > 0
            self._warm_ups_left[endpoint] -= warm_up
            self.waiting.remove(wish)
            self.first_wishes.pop(wish, None)
            wish.set_result(Permit(endpoint, warm_up))
        self._want_slots_of(())

    def lend(self, granted: float) -> None:
        """Takes note that a permit is out since ``granted``, of the monotonic clock."""
        self._out += 1
        self._granted += granted

    def take_back(
        self, endpoint: str, granted: float, *, certain: bool, failure_signal: FailureSignal | None = None
    ) -> None:
        """Frees a permit that was out since ``granted``; a moment later where its end is not certain.

        What is wrong with the endpoint is noted first, or the permit would go to the next at once.
        """
        self._out -= 1
        self._granted -= granted
        self._totals[endpoint].busy_seconds += time.monotonic() - granted
        if failure_signal:
            feedback = Feedback(
                available=False, overloaded=failure_signal.overloaded, retry_after=failure_signal.retry_after
            )
            self.pool.record(endpoint, feedback, time.monotonic())
            if failure_signal.stop_message:
                self.stop(failure_signal.stop_message)
        if certain:
            self._free(endpoint)
        else:
            asyncio.get_running_loop().call_later(self._limits.linger_seconds, self._free, endpoint)

    def take_back_unused(self, endpoint: str, granted: float, *, warm_up: bool) -> None:
        """Frees a permit under which nothing was sent; its warm-up comes with the next one."""
        self._warm_ups_left[endpoint] += warm_up
        self.take_back(endpoint, granted, certain=True)

    def let_pass_on(self, endpoint: str, granted: float) -> float:
        """Takes note that a permit, out since ``granted``, is another request's; returns since when."""
        now = time.monotonic()
        self._totals[endpoint].busy_seconds += now - granted
        self._granted += now - granted
        return now

    def is_little(self, out: int, tasks: int) -> bool:
        """Whether a task, one of so many, that has ``out`` permits has none or not half of its share."""
        return not out or 2 * out * tasks < self._out

    def may_pass_on(self, endpoint: str, out: int) -> bool:
        """Whether a task that has ``out`` permits may use those of an endpoint again without asking.

        Not when somebody else should have them: another run with less than its share, a task with few, others
        where this one has more than its share, or nobody, because the endpoint is to be given fewer, or to be
        left alone. What a task passes on before it hears of that was as good as in flight.
        """
        if (
            self.stop_message
            or self._warm_ups_left[endpoint]
            or not self.pool.has_kept_up(endpoint, time.monotonic())
        ):
            return False
        wishing = self.wishing_tasks
        if self.first_wishes or out * wishing > _MORE_THAN_SHARE * self._out + wishing:
            return False
        semaphore = self._semaphores.get(endpoint)
        return semaphore is None or not semaphore.has_more_than_share()

    def record(self, endpoint: str, report: PermitReport) -> None:
        """Takes note of what became of a request."""
        if report.available is not None:
            feedback = Feedback(
                report.available,
                latency=report.latency_seconds,
                queue=report.queue_seconds,
                work=report.work,
            )
            self.pool.record(endpoint, feedback, time.monotonic())
        self._count(endpoint, report)
        self.hand_out()

    def record_load(self, endpoint: str, running: int, waiting: int) -> None:
        """Takes note of how many requests an endpoint works on, and how many wait there."""
        self.pool.record_load(endpoint, running, waiting, time.monotonic())
        self.hand_out()

    def stop(self, message: str) -> None:
        """Hands out nothing more, and tells everybody who waits."""
        self.stop_message = self.stop_message or message
        for future in self.waiting:
            if not future.done():
                future.set_exception(RunStoppedError(self.stop_message))
        self.waiting.clear()
        self._want_slots_of(())

    def close(self) -> None:
        """Gives the slots back."""
        for semaphore in self._semaphores.values():
            semaphore.close()

    def progress(self) -> Progress:
        """What has been done so far."""
        now = time.monotonic()
        return Progress(
            seconds=now - self._started,
            answered=self._counts[AttemptOutcome.ANSWERED],
            failed=self._counts[AttemptOutcome.FAILED],
            split=self._counts[AttemptOutcome.SPLIT] + self._counts[AttemptOutcome.SALVAGED],
            repeated=dict(self._repeated),
            endpoints=self.pool.states(now),
            totals={
                address: replace(totals, repeated=totals.repeated.copy())
                for address, totals in self._totals.items()
            },
            salvaged=self._counts[AttemptOutcome.SALVAGED],
            added=self._added,
            done_tokens=self._done_tokens,
            empty=self._empty,
            added_tokens=self._added_tokens,
            split_seconds=self._split_seconds,
            open_seconds=max(0.0, self._out * now - self._granted),
        )

    def _next_wish(self) -> asyncio.Future[Permit] | None:
        while self.first_wishes:
            wish = next(iter(self.first_wishes))
            if not wish.done():
                return wish
            del self.first_wishes[wish]
        while self.waiting:
            if not self.waiting[0].done():
                return self.waiting[0]
            self.waiting.popleft()
        return None

    def _acquire(self) -> str | None:
        """A permit that is also within the cap of all runs."""
        full: list[str] = []
        while (endpoint := self.pool.acquire(time.monotonic(), full)) is not None:
            semaphore = self._semaphores.get(endpoint)
            if semaphore is None or semaphore.take():
                return endpoint
            self.pool.release(endpoint)
            full.append(endpoint)
        self._want_slots_of(full)
        return None

    def _want_slots_of(self, endpoints: Sequence[str]) -> None:
        """Has other runs know of the slots that this one would use now, and of no others."""
        for endpoint, semaphore in self._semaphores.items():
            semaphore.want(endpoint in endpoints)

    def _free(self, endpoint: str) -> None:
        self.pool.release(endpoint)
        if endpoint in self._semaphores:
            self._semaphores[endpoint].give_back()
        self.hand_out()

    def _count(self, endpoint: str, report: PermitReport) -> None:
        totals = self._totals[endpoint]
        if report.warm_up_seconds is not None:
            totals.warm_ups += 1
            totals.warm_up_tokens += report.warm_up_prompt_tokens or 0
            totals.warm_up_seconds += report.warm_up_seconds
            totals.prompt_tokens += report.warm_up_prompt_tokens or 0
        totals.prompt_tokens += report.prompt_tokens or 0
        totals.answer_tokens += report.answer_tokens or 0
        if report.cached_tokens is not None:
            totals.cached_tokens = (totals.cached_tokens or 0) + report.cached_tokens
        self._done_tokens += report.done_tokens
        self._added += max(0, report.parts - 1)
        self._empty += report.names_nothing
        self._added_tokens += report.added_tokens
        if report.outcome == AttemptOutcome.AGAIN:
            self._repeated[report.reason or _UNKNOWN] += 1
            totals.repeated[report.reason or _UNKNOWN] += 1
            return
        if report.outcome in (AttemptOutcome.SPLIT, AttemptOutcome.SALVAGED):
            self._split_seconds += report.latency_seconds or 0.0
        totals.answered += report.outcome == AttemptOutcome.ANSWERED
        totals.failed += report.outcome == AttemptOutcome.FAILED
        self._counts[report.outcome] += 1
        self._settled.add(report.outcome == AttemptOutcome.FAILED, report.reason)
        complaint = self._settled.complaint(self._limits.max_failure_rate)
        if complaint:
            self.stop(complaint)
