"""What a terminal shows of a run: the lines of the log, whole, and one bar below them."""

import io
import logging
import os
import pty
import sys
import threading
from contextlib import suppress

import pytest
from shared.terminal_screen import Terminal

from preannotation_assets.cli.progress_bar import progress_bar, progress_display
from preannotation_assets.telemetry.stage_progress import (
    LogAlone,
    StageProgress,
    StageReporter,
    report_count,
    report_stage,
)

COLOURS = {"TERM": "xterm-256color", "COLUMNS": "90"}


def asked(done: int, note: str | None = None) -> StageProgress:
    return StageProgress("asking", "requests", done, 3000, f"{done} of 3000 requests done", 65.0, note)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    out = Terminal()
    monkeypatch.setattr(sys, "stderr", out)
    return out


def test_lines_and_bar_do_not_tear_each_other(terminal: Terminal) -> None:
    said = [f"{number}: a line of the log {'that is longer than the terminal ' * 4}" for number in range(40)]

    def write(numbers: range) -> None:
        for number in numbers:
            sys.stderr.write(f"{said[number]}\n")

    with progress_bar(terminal, COLOURS) as display:
        parts = [range(20), range(20, 40)]
        writers = [threading.Thread(target=write, args=(part,)) for part in parts]
        for writer in writers:
            writer.start()
        for done in range(200):
            display.show(asked(done))
        for writer in writers:
            writer.join()
        shown = terminal.lines()
    bar = [line for line in shown if "requests" in line]
    assert len(bar) == 1
    assert bar[0].startswith("asking ")
    left = [line for line in terminal.lines() if line]
    assert sorted(left) == sorted(line.rstrip() for line in said)


def test_the_bar_says_one_count_the_time_left_and_what_stops_it(terminal: Terminal) -> None:
    with progress_bar(terminal, COLOURS) as display:
        display.show(asked(141))
    assert "141 of 3,000 requests about 1 min 05 s left" in " ".join(terminal.getvalue().split())
    with progress_bar(terminal, COLOURS) as display:
        display.show(asked(141, note="http://gpu has served nothing for 40 s\x1b[2J"))
    assert "http://gpu has served nothing for 40 s\u241b[2J" in terminal.getvalue()


def test_a_stage_takes_the_place_of_the_one_before(terminal: Terminal) -> None:
    with progress_bar(terminal, COLOURS) as display:
        display.show(StageProgress("reading", "pages", 70, None, "", None))
        display.stage_ended()
        sys.stderr.write("a line between two stages\n")
        assert [line for line in terminal.lines() if line] == ["a line between two stages"]
        display.show(asked(1))
        shown = terminal.lines()
    assert [line.split()[0] for line in shown if line] == ["a", "asking"]
    assert [line for line in terminal.lines() if line] == ["a line between two stages"]


@pytest.mark.parametrize(
    "environment", [{**COLOURS, "NO_COLOR": "1"}, {"TERM": "dumb"}, {**COLOURS, "TERM": "unknown"}]
)
def test_a_terminal_without_colours_gets_plain_lines(terminal: Terminal, environment: dict[str, str]) -> None:
    with progress_display(terminal, environment) as display:
        display.show(asked(1))
    assert isinstance(display, LogAlone)
    assert terminal.getvalue() == ""


def test_what_is_redirected_meanwhile_does_not_take_the_bar_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Dagster does it while a step runs."""
    ours, theirs = pty.openpty()
    elsewhere = os.open(os.devnull, os.O_WRONLY)
    with os.fdopen(theirs, "w") as out:
        monkeypatch.setattr(sys, "stderr", out)
        with progress_display(out, COLOURS) as display:
            os.dup2(elsewhere, theirs)
            display.show(asked(141))
            sys.stderr.write("a line of the log\n")
    written = b""
    # Linux's word for the end of a terminal is an error.
    with suppress(OSError):
        while piece := os.read(ours, 65_536):
            written += piece
    os.close(ours)
    os.close(elsewhere)
    shown = Terminal(written.decode().replace("\r\n", "\n"))
    assert "141 of 3,000 requests" in shown.getvalue()
    assert [line for line in shown.lines() if line] == ["a line of the log"]


def test_what_is_no_terminal_gets_plain_lines_whatever_it_calls_itself() -> None:
    out = io.StringIO()
    with progress_display(out, {**COLOURS, "FORCE_COLOR": "1"}) as display:
        display.show(asked(1))
    assert isinstance(display, LogAlone)
    assert out.getvalue() == ""


def _reported(reporter: StageReporter, moments: int) -> None:
    seen = threading.Event()
    looks = iter(range(1, 1_000_000))

    def look() -> StageProgress:
        done = next(looks)
        if done > moments:
            seen.set()
        return asked(done)

    with report_stage(reporter, look):
        assert seen.wait(20)


def test_where_a_bar_is_shown_lines_of_progress_are_for_the_event_log_alone(terminal: Terminal) -> None:
    logged: list[tuple[int, str]] = []
    with progress_bar(terminal, COLOURS) as display:
        reporter = StageReporter(lambda level, line: logged.append((level, line)), display, 0.005)
        _reported(reporter, 3)
    assert {level for level, _ in logged} == {logging.DEBUG}
    assert "requests" in terminal.getvalue()


def test_elsewhere_they_are_lines_like_others() -> None:
    logged: list[tuple[int, str]] = []
    _reported(StageReporter(lambda level, line: logged.append((level, line)), LogAlone(), 0.005), 3)
    assert logged[0] == (logging.INFO, "1 of 3000 requests done")


@pytest.mark.parametrize(
    ("total", "done", "line"),
    [
        (40, 10, "reading: 10 of 40 pages done, about 0 min 00 s left"),
        (None, 10, "reading: 10 pages done, time left unknown"),
        (40, 0, "reading: 0 of 40 pages done, time left unknown"),
        # There came more than there were when they were counted.
        (40, 50, "reading: 50 of 50 pages done, about 0 min 00 s left"),
    ],
)
def test_a_count_says_how_much_of_it_is_left(total: int | None, done: int, line: str) -> None:
    logged: list[str] = []
    seen = threading.Event()

    def log(_: int, said: str) -> None:
        logged.append(said)
        seen.set()

    with report_count(StageReporter(log, LogAlone(), 0.005), "reading", "pages", total, lambda: done):
        assert seen.wait(20)
    assert logged[0] == line
