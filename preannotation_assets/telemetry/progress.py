"""Says in the run's log, every few seconds, how far the asking has come. Counts only."""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from preannotation_assets.extraction.empty_answers import answers_doubt
from preannotation_assets.throttling.dispatcher import EndpointTotals, Progress
from preannotation_assets.throttling.endpoint_pool import EndpointState
from preannotation_assets.throttling.permit_server import PermitServer

__all__ = ["Forecast", "Work", "describe_interruption", "describe_progress", "reported_progress"]

_STOP_SECONDS: Final = 10.0
_MOMENTS: Final = 20


@dataclass(frozen=True, slots=True)
class Work:
    """What a run has to ask: chunks, requests for them, and the estimated tokens of their texts.

    ``chunks_done`` of the ``chunks`` had all their answers before the run.
    """

    chunks: int
    chunks_done: int
    requests: int
    tokens: int

    def is_open(self, progress: Progress) -> bool:
        """Whether a request is still to be made or to be ended."""
        ended = progress.answered + progress.failed
        return ended < self.requests + progress.added or progress.in_flight > 0

    def tokens_left(self, progress: Progress) -> int:
        """The estimate of what is not done, with what splitting has added; rounding may bring it to 0."""
        return max(0, self.tokens + progress.added_tokens - progress.done_tokens)

    def share(self, progress: Progress) -> float:
        """Done of the whole, from 0 to 1; it falls only when splitting adds to the whole."""
        whole = self.tokens + progress.added_tokens
        if not self.is_open(progress) or not whole:
            return 1.0
        return min(1.0, progress.done_tokens / whole)

    def chunks_answered(self, progress: Progress) -> int:
        """About how many chunks have all their answers; all of them only when no request is open."""
        done = self.chunks_done + math.floor(self.share(progress) * (self.chunks - self.chunks_done))
        return min(done, self.chunks - 1) if self.is_open(progress) else self.chunks


@dataclass(slots=True)
class Forecast:
    """When the rest of the work will be done, at the rate of the last 20 moments it was told of.

    Texts differ in length, and the longest are asked first: so it goes by their tokens, not by their number.
    """

    work: Work
    _moments: deque[tuple[float, int]] = field(default_factory=lambda: deque([(0.0, 0)], maxlen=_MOMENTS))

    def seconds_left(self, progress: Progress) -> float | None:
        """Seconds; None while nothing has been done lately, or where the estimate is used up too early."""
        began, before = self._moments[0]
        self._moments.append((progress.seconds, progress.done_tokens))
        if not self.work.is_open(progress):
            return 0.0
        done, seconds = progress.done_tokens - before, progress.seconds - began
        left = self.work.tokens_left(progress)
        return left * seconds / done if left > 0 and done > 0 and seconds > 0 else None


def describe_progress(progress: Progress, work: Work, seconds_left: float | None) -> str:
    """One line: done, rates, tokens a second, in flight, failures, empty answers and the time left."""
    done, total = progress.answered + progress.failed, work.requests + progress.added
    endpoints = "; ".join(
        _describe_endpoint(address, state, progress.totals.get(address), progress.seconds)
        for address, state in progress.endpoints.items()
    )
    return (
        f"{done} of {total} requests done (about {work.chunks_answered(progress)} of {work.chunks} chunks), "
        f"{_rate(done, progress.seconds):.2f} a second, "
        f"tokens a second {_rate(progress.prompt_tokens, progress.seconds):.0f} in and "
        f"{_rate(progress.answer_tokens, progress.seconds):.0f} out, in flight {endpoints}, "
        f"{progress.failed} failed, {sum(progress.repeated.values())} repeated, {progress.split} split, "
        f"{progress.empty} empty, " + (_describe_outage(progress) or _describe_time(seconds_left))
    )


def _describe_time(seconds_left: float | None) -> str:
    return f"about {_duration(seconds_left)} left" if seconds_left is not None else "time left unknown"


def _describe_outage(progress: Progress) -> str | None:
    """Since when no server serves, and when each is tried again; None while one does."""
    if not progress.endpoints or not all(state.failing_seconds for state in progress.endpoints.values()):
        return None
    return "; ".join(
        f"{address} {'is overloaded' if state.is_overloaded else 'has served nothing'} "
        f"for {math.ceil(state.failing_seconds)} s, next try "
        + (f"in {math.ceil(state.next_try_seconds)} s" if state.next_try_seconds else "under way")
        for address, state in progress.endpoints.items()
    )


def describe_interruption(progress: Progress, work: Work) -> str:
    """What is kept of a run that is ended from outside, and what the next one does."""
    total = work.requests + progress.added
    return (
        f"ended from outside: {progress.answered} of {total} requests are answered, and the answers are kept "
        f"but for those of the last seconds; run again and it goes on from there, with about "
        f"{max(0, total - progress.answered)} requests"
    )


@contextmanager
def reported_progress(
    server: PermitServer,
    work: Work,
    log: Callable[[str], None],
    warn: Callable[[str], None],
    interval_seconds: float,
) -> Iterator[None]:
    """Logs the progress every ``interval_seconds`` while the body runs.

    Warns once where nearly all answers are empty: the rest of the run would be spent on nothing.
    """
    finished = threading.Event()
    forecast = Forecast(work)

    def report() -> None:
        has_warned = False
        while not finished.wait(interval_seconds):
            progress = server.progress()
            log(describe_progress(progress, work, forecast.seconds_left(progress)))
            doubt = None if has_warned else answers_doubt(progress.empty, progress.answered)
            if doubt:
                warn(doubt)
                has_warned = True

    reporter = threading.Thread(target=report, name="progress", daemon=True)
    reporter.start()
    try:
        yield
    finally:
        finished.set()
        reporter.join(_STOP_SECONDS)


def _describe_endpoint(
    address: str, state: EndpointState, totals: EndpointTotals | None, seconds: float
) -> str:
    notes = [f"{_rate(totals.answer_tokens, seconds):.0f} tokens a second"] if totals else []
    if state.wished_wait:
        notes.append(f"asked to wait {_duration(state.wished_wait)} by the server")
    return f"{state.in_flight} of {state.limit} at {address}" + (f" ({', '.join(notes)})" if notes else "")


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
