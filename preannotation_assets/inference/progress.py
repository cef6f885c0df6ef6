"""Says in the run's log, every few seconds, how far the asking has come. Counts only."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from preannotation_assets.inference.board import Progress
from preannotation_assets.inference.permit_server import PermitServer

__all__ = ["describe_progress", "reported_progress"]

_STOP_SECONDS: Final = 10.0


def describe_progress(progress: Progress, total: int) -> str:
    """One line: done, rate, tokens a second, in flight, failures and the time left."""
    done = progress.answered + progress.failed
    rate = done / progress.seconds if progress.seconds else 0.0
    tokens = progress.answer_tokens / progress.seconds if progress.seconds else 0.0
    left = max(0, total - done) / rate if rate else None
    in_flight = ", ".join(
        f"{state.in_flight} of {state.limit} at {endpoint}" for endpoint, state in progress.endpoints.items()
    )
    repeated = sum(progress.repeated.values())
    return (
        f"{done} of {total} requests done, {rate:.2f} a second, {tokens:.0f} answer tokens a second, "
        f"in flight {in_flight}, {progress.failed} failed, {repeated} repeated, {progress.split} split, "
        + (f"about {_duration(left)} left" if left is not None else "time left unknown")
    )


@contextmanager
def reported_progress(
    server: PermitServer, total: int, log: Callable[[str], None], interval_seconds: float
) -> Iterator[None]:
    """Logs the progress every ``interval_seconds`` while the body runs."""
    finished = threading.Event()

    def report() -> None:
        while not finished.wait(interval_seconds):
            log(describe_progress(server.progress(), total))

    reporter = threading.Thread(target=report, name="progress", daemon=True)
    reporter.start()
    try:
        yield
    finally:
        finished.set()
        reporter.join(_STOP_SECONDS)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
