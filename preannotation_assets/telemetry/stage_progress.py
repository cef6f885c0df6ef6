"""How far a stage of a run has come, for whoever watches the run while it goes on. Counts only."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

__all__ = [
    "LogAlone",
    "PageCount",
    "ProgressDisplay",
    "StageProgress",
    "StageReporter",
    "duration_words",
    "report_count",
    "report_stage",
    "time_left_words",
]

_LOG_SECONDS: Final = 15.0
_STOP_SECONDS: Final = 10.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StageProgress:
    """What a stage has done: ``done`` of ``total`` things of a ``unit``, such as pages.

    ``total`` and ``seconds_left`` are None where they are not known. ``line`` says the same and more in the
    log; ``note`` is what keeps the stage from going on.
    """

    stage: str
    unit: str
    done: int
    total: int | None
    line: str
    seconds_left: float | None = None
    note: str | None = None


class ProgressDisplay(Protocol):
    """Where the progress of a run is shown, besides its log.

    ``interval_seconds`` is how often it wants to know. ``line_level`` is the level of logging at which lines
    of progress go to the log: where something else shows them too, they are for Dagster's event log alone.
    """

    interval_seconds: float
    line_level: int

    def show(self, progress: StageProgress) -> None:
        """Shows it in the place of what was shown before."""
        ...

    def stage_ended(self) -> None:
        """Shows nothing more of the stage."""
        ...


class LogAlone:
    """Shows nothing: whoever wants to know reads the log."""

    interval_seconds = _LOG_SECONDS
    line_level = logging.INFO

    def show(self, progress: StageProgress) -> None:
        """Nothing."""

    def stage_ended(self) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class StageReporter:
    """Who is told of the progress of a run: its log, by level and line, every so often, and a display."""

    log: Callable[[int, str], None]
    display: ProgressDisplay
    log_seconds: float = _LOG_SECONDS


@contextmanager
def report_stage(reporter: StageReporter, look: Callable[[], StageProgress]) -> Iterator[None]:
    """Looks and tells while the body runs: the log as often as said, the display as often as it wishes."""
    finished = threading.Event()
    display = reporter.display

    def report() -> None:
        since_line = 0.0
        interval = min(display.interval_seconds, reporter.log_seconds)
        while not finished.wait(interval):
            progress = look()
            display.show(progress)
            since_line += interval
            if since_line >= reporter.log_seconds:
                reporter.log(display.line_level, progress.line)
                since_line = 0.0

    thread = threading.Thread(target=report, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join(_STOP_SECONDS)
        display.stage_ended()


def report_count(
    reporter: StageReporter, stage: str, unit: str, total: int | None, done: Callable[[], int]
) -> AbstractContextManager[None]:
    """Tells of a stage whose things take about equally long, while the body runs."""
    began = time.monotonic()

    def look() -> StageProgress:
        count = done()
        whole = None if total is None else max(total, count)
        left = (time.monotonic() - began) / count * (whole - count) if whole is not None and count else None
        of = "" if whole is None else f" of {whole}"
        line = f"{stage}: {count}{of} {unit} done, {time_left_words(left)}"
        return StageProgress(stage, unit, count, whole, line, left)

    return report_stage(reporter, look)


@dataclass(slots=True)
class PageCount:
    """Counts what passes."""

    done: int = 0

    def passing(self, pages: Iterator[T]) -> Iterator[T]:
        """The same pages, each counted when the next one is asked for."""
        for page in pages:
            yield page
            self.done += 1


def time_left_words(seconds: float | None) -> str:
    """For the end of a line."""
    return f"about {duration_words(seconds)} left" if seconds is not None else "time left unknown"


def duration_words(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
