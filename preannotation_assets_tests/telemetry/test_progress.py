"""The line in the run's log: what is done, and when the rest will be."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from shared.polling import wait_for

from preannotation_assets.contracts import AttemptOutcome
from preannotation_assets.telemetry.forecast import Forecast, Work
from preannotation_assets.telemetry.progress import (
    describe_interruption,
    describe_progress,
    reported_progress,
)
from preannotation_assets.telemetry.stage_progress import LogAlone, StageReporter
from preannotation_assets.throttling.dispatcher import Dispatcher, EndpointTotals, Limits, Progress
from preannotation_assets.throttling.endpoint_pool import EndpointState
from preannotation_assets.throttling.permit_client import PermitClient
from preannotation_assets.throttling.permit_messages import PermitReport
from preannotation_assets.throttling.permit_server import PermitServer

WORK = Work(requests=810, tokens=100_000)


def _progress(seconds: float, done_tokens: int, answered: int = 0) -> Progress:
    return Progress(
        seconds=seconds,
        answered=answered,
        failed=2,
        split=1,
        repeated={"timed_out": 3, "overloaded": 4},
        endpoints={"http://gpu": EndpointState(3, 4, 4, 2, 0)},
        totals={"http://gpu": EndpointTotals(answered, 70_000, 5_000, 100.0)},
        added=1,
        done_tokens=done_tokens,
        empty=5,
    )


def test_the_line_says_how_far_how_fast_and_how_long_still() -> None:
    line = describe_progress(_progress(100.0, 25_000, answered=148), WORK, 4000.0)
    assert line == (
        "150 of 811 requests done, 1.50 a second, tokens a second 700 in and 50"
        " out, in flight 3 of 4 at http://gpu (50 tokens a second), 2 failed, 7 repeated, 1 split,"
        " 5 empty, about 1 h 06 min left"
    )
    assert describe_progress(_progress(0.0, 0), WORK, None).endswith("time left unknown")


def test_the_line_says_that_a_server_asked_to_be_left_alone() -> None:
    waiting = replace(
        _progress(100.0, 25_000, answered=148),
        endpoints={"http://gpu": EndpointState(0, 4, 4, 2, 0, wished_wait=3_480.9)},
    )
    line = describe_progress(waiting, WORK, 4000.0)
    assert (
        "in flight 0 of 4 at http://gpu (50 tokens a second, asked to wait 58 min 00 s by the server)" in line
    )


def failing(seconds: float, next_try: float, *, overloaded: bool = False) -> EndpointState:
    return EndpointState(
        0, 4, 4, 2, 1, failing_seconds=seconds, next_try_seconds=next_try, is_overloaded=overloaded
    )


@pytest.mark.parametrize(
    ("endpoints", "end"),
    [
        ({"http://a": failing(39.2, 29.5)}, "http://a has served nothing for 40 s, next try in 30 s"),
        ({"http://a": failing(40.0, 0.0)}, "http://a has served nothing for 40 s, next try under way"),
        (
            {"http://a": failing(9.0, 2.0, overloaded=True), "http://b": failing(40.0, 8.0)},
            (
                "http://a is overloaded for 9 s, next try in 2 s; "
                "http://b has served nothing for 40 s, next try in 8 s"
            ),
        ),
        ({"http://a": failing(40.0, 30.0), "http://b": EndpointState(3, 4, 4, 2, 0)}, "time left unknown"),
    ],
)
def test_an_outage_is_told_in_words(endpoints: dict[str, EndpointState], end: str) -> None:
    line = describe_progress(replace(_progress(100.0, 0), endpoints=endpoints, totals={}), WORK, None)
    assert line.endswith(f"5 empty, {end}")


def test_a_run_that_is_ended_says_what_is_kept_and_what_is_left() -> None:
    said = describe_interruption(_progress(100.0, 25_000, answered=148), WORK)
    assert "148 of 811 requests are answered" in said
    assert said.endswith("goes on from there, with about 663 requests")


async def _answer(server: PermitServer, count: int, *, names_nothing: bool) -> None:
    async with PermitClient(server.address) as permits:
        for _ in range(count):
            permit = await permits.acquire()
            permits.release(permit)
            report = PermitReport(AttemptOutcome.ANSWERED, available=True, names_nothing=names_nothing)
            permits.report(permit, report)


@pytest.mark.parametrize(("named", "warnings"), [(0, 1), (2, 1), (3, 0)])
def test_a_run_whose_first_answers_are_empty_is_warned_of_once_and_goes_on(named: int, warnings: int) -> None:
    logged: list[str] = []
    warned: list[str] = []
    with PermitServer(["http://gpu"], Limits(max_in_flight=1)) as server:
        asyncio.run(_answer(server, named, names_nothing=False))
        asyncio.run(_answer(server, 20 - named, names_nothing=True))
        wait_for(lambda: server.progress().answered == 20)
        reporter = StageReporter(lambda _, line: logged.append(line), LogAlone(), log_seconds=0.005)
        with reported_progress(server, WORK, reporter, warned.append):
            wait_for(lambda: len(logged) >= 3)
    assert len(warned) == warnings
    assert all(f"{20 - named} of 20 answers came back empty" in warning for warning in warned)
    assert f", {20 - named} empty, " in logged[-1]


ENDPOINT = "http://gpu"


def _states(reports: Sequence[PermitReport]) -> Iterator[Progress]:
    """How far a run has come at its start and after each report."""
    dispatcher = Dispatcher([ENDPOINT], Limits(max_in_flight=4, max_failure_rate=1.0))
    yield dispatcher.progress()
    for report in reports:
        dispatcher.record(ENDPOINT, report)
        yield dispatcher.progress()


def _require_honest(reports: Sequence[PermitReport], work: Work) -> None:
    """Never more than all, never back unless work is added, all only at the end."""
    forecast = Forecast(work)
    before = 0, 0
    for number, progress in enumerate(_states(reports)):
        left = forecast.seconds_left(progress)
        done, total = work.requests_done(progress), work.requests_in_all(progress)
        assert (done, total) >= before
        assert 0 <= done <= total
        if number < len(reports):
            assert done < total
            assert left is None or left > 0
        else:
            assert (done, left, work.tokens_left(progress)) == (total, 0.0, 0)
        before = done, total


@st.composite
def _runs(draw: st.DrawFn) -> tuple[list[int], list[PermitReport]]:
    """Texts by their tokens, and what becomes of them: answered, failed, asked again, split with overlap."""
    texts = draw(st.lists(st.integers(1, 6000), min_size=1, max_size=6))
    reports, still = [], list(texts)
    while still:
        tokens = still.pop(draw(st.integers(0, len(still) - 1)))
        outcome = draw(st.sampled_from(AttemptOutcome)) if len(reports) < 25 else AttemptOutcome.ANSWERED
        parts: list[int] = []
        if outcome == AttemptOutcome.AGAIN:
            parts = [tokens]
            reports.append(PermitReport(outcome, available=True))
        else:
            if outcome in (AttemptOutcome.SPLIT, AttemptOutcome.SALVAGED):
                parts = draw(st.lists(st.integers(1, tokens), min_size=1, max_size=3))
            done = tokens - sum(parts)
            figures = {"done_tokens": max(0, done), "added_tokens": max(0, -done), "parts": len(parts)}
            reports.append(PermitReport(outcome, available=True, **figures))
        still.extend(parts)
    return texts, reports


@given(_runs())
@example(([100], [PermitReport(AttemptOutcome.FAILED, available=True, done_tokens=100)]))
def test_all_is_said_to_be_done_when_it_is_and_not_before(run: tuple[list[int], list[PermitReport]]) -> None:
    texts, reports = run
    work = Work(requests=len(texts), tokens=sum(texts))
    _require_honest(reports, work)


def test_what_splitting_adds_in_a_run_is_added_to_the_whole(simulator: Any, new_run: Any) -> None:
    ports = ("Rotterdam", "Hamburg", "Antwerp", "Singapore", "Bergen", "Marseille", "Valparaiso")
    lines = [
        f"MV OCEAN STAR 1 left {ports[line % len(ports)]} on {line + 1} March 1999, flag Panama.\n"
        for line in range(320)
    ]
    reports: list[PermitReport] = []
    run = new_run(simulator(), observers=[lambda _, report: reports.append(report)])
    # One is too long for the model, of one the answer is.
    texts = ["".join(lines), "A. " + "".join(lines[:40]), "B. " + "".join(lines[:2])]
    run.ask(texts)
    assert {AttemptOutcome.SPLIT, AttemptOutcome.SALVAGED} <= {report.outcome for report in reports}
    assert run.progress.added_tokens > 0
    _require_honest(reports, Work(len(texts), sum(len(text) // 4 for text in texts)))


def test_where_requests_are_counted_twice_one_in_flight_keeps_the_last_one_open() -> None:
    # A task that was killed is asked anew for what it had said to be done.
    twice = _progress(100.0, 120_000, answered=WORK.requests)
    assert WORK.requests_done(twice) == WORK.requests_in_all(twice) - 1
    assert Forecast(WORK).seconds_left(twice) is None
