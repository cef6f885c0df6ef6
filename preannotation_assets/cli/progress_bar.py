"""The progress of a run on a terminal: one bar below the log, which goes on above it."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from preannotation_assets.telemetry.stage_progress import (
    LogAlone,
    ProgressDisplay,
    StageProgress,
    time_left_words,
)
from preannotation_assets.trying.terminal import console_for
from preannotation_assets.visible_text import visible_line

__all__ = ["progress_bar", "progress_display"]

_INTERVAL_SECONDS: Final = 1.0
_BAR_WIDTH: Final = 30


class _Bar:
    """A bar of the stage that is at work; the lines that it stands for go to Dagster's event log alone."""

    interval_seconds = _INTERVAL_SECONDS
    line_level = logging.DEBUG

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._stage: tuple[str, TaskID] | None = None

    def show(self, progress: StageProgress) -> None:
        """Moves the bar, or begins the one of another stage."""
        total = "" if progress.total is None else f" of {progress.total:,}"
        count = f"{progress.done:,}{total} {progress.unit}"
        left = visible_line(progress.note or time_left_words(progress.seconds_left))
        if self._stage is None or self._stage[0] != progress.stage:
            self.stage_ended()
            task = self._bar.add_task(progress.stage, total=progress.total, count=count, left=left)
            self._stage = progress.stage, task
        self._bar.update(
            self._stage[1], completed=progress.done, total=progress.total, count=count, left=left
        )
        self._bar.refresh()

    def stage_ended(self) -> None:
        """Takes the bar away."""
        if self._stage is not None:
            self._bar.remove_task(self._stage[1])
            self._bar.refresh()
            self._stage = None


@contextmanager
def progress_display(out: TextIO, environment: Mapping[str, str]) -> Iterator[ProgressDisplay]:
    """A bar on a terminal while the body runs; what is written on standard error goes above it.

    Nothing but the log elsewhere, on a terminal that is dumb, and where NO_COLOR (no-color.org) is set.
    """
    if not out.isatty() or console_for(out, environment).color_system is None:
        yield LogAlone()
        return
    # While a step runs, Dagster sends what is written on standard error through a file of its own.
    copy = os.fdopen(os.dup(out.fileno()), "w", encoding=out.encoding, errors="backslashreplace")
    with copy as terminal, progress_bar(terminal, environment) as bar:
        yield bar


@contextmanager
def progress_bar(terminal: TextIO, environment: Mapping[str, str]) -> Iterator[ProgressDisplay]:
    """A bar on this terminal while the body runs; what is written on standard error goes above it."""
    # Soft: a line of the log that was wrapped could not be searched.
    console = Console(file=terminal, soft_wrap=True, _environ=environment)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(_BAR_WIDTH),
        TextColumn("{task.fields[count]}", markup=False),
        TextColumn("{task.fields[left]}", markup=False),
    )
    bar = Progress(*columns, console=console, auto_refresh=False, transient=True, redirect_stdout=False)
    with bar:
        yield _Bar(bar)
