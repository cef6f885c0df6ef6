"""Says how far the asking has come, every few seconds. Counts only."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from preannotation_assets.extraction.empty_answers import answers_doubt
from preannotation_assets.telemetry.forecast import Forecast, Work
from preannotation_assets.telemetry.stage_progress import (
    StageProgress,
    StageReporter,
    duration_words,
    report_stage,
    time_left_words,
)
from preannotation_assets.throttling.dispatcher import EndpointTotals, Progress
from preannotation_assets.throttling.endpoint_pool import EndpointState
from preannotation_assets.throttling.permit_server import PermitServer

__all__ = ["describe_interruption", "describe_progress", "reported_progress"]

_STAGE: Final = "asking"
_UNIT: Final = "requests"


def describe_progress(progress: Progress, work: Work, seconds_left: float | None) -> str:
    """One line: done, rates, tokens a second, in flight, failures, empty answers and the time left."""
    done, total = work.requests_done(progress), work.requests_in_all(progress)
    endpoints = "; ".join(
        _describe_endpoint(address, state, progress.totals.get(address), progress.seconds)
        for address, state in progress.endpoints.items()
    )
    return (
        f"{done} of {total} requests done, "
        f"{_rate(done, progress.seconds):.2f} a second, "
        f"tokens a second {_rate(progress.prompt_tokens, progress.seconds):.0f} in and "
        f"{_rate(progress.answer_tokens, progress.seconds):.0f} out, in flight {endpoints}, "
        f"{progress.failed} failed, {sum(progress.repeated.values())} repeated, {progress.split} split, "
        f"{progress.empty} empty, " + (_describe_outage(progress) or time_left_words(seconds_left))
    )


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
    total = work.requests_in_all(progress)
    return (
        f"ended from outside: {progress.answered} of {total} requests are answered, and the answers are kept "
        f"but for those of the last seconds; run again and it goes on from there, with about "
        f"{max(0, total - progress.answered)} requests"
    )


@dataclass(slots=True)
class _Look:
    """Reads the progress; warns once where nearly all answers are empty."""

    server: PermitServer
    forecast: Forecast
    warn: Callable[[str], None]
    has_warned: bool = False

    def __call__(self) -> StageProgress:
        """What is done, and when the rest will be."""
        progress, work = self.server.progress(), self.forecast.work
        left = self.forecast.seconds_left(progress)
        doubt = None if self.has_warned else answers_doubt(progress.empty, progress.answered)
        if doubt:
            self.warn(doubt)
            self.has_warned = True
        return StageProgress(
            stage=_STAGE,
            unit=_UNIT,
            done=work.requests_done(progress),
            total=work.requests_in_all(progress),
            line=describe_progress(progress, work, left),
            seconds_left=left,
            note=_describe_outage(progress),
        )


def reported_progress(
    server: PermitServer, work: Work, reporter: StageReporter, warn: Callable[[str], None]
) -> AbstractContextManager[None]:
    """Tells of the progress while the body runs.

    Warns once where nearly all answers are empty: the rest of the run would be spent on nothing.
    """
    return report_stage(reporter, _Look(server, Forecast(work), warn))


def _describe_endpoint(
    address: str, state: EndpointState, totals: EndpointTotals | None, seconds: float
) -> str:
    notes = [f"{_rate(totals.answer_tokens, seconds):.0f} tokens a second"] if totals else []
    if state.wished_wait:
        notes.append(f"asked to wait {duration_words(state.wished_wait)} by the server")
    return f"{state.in_flight} of {state.limit} at {address}" + (f" ({', '.join(notes)})" if notes else "")


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0
