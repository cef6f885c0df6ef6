"""Every fault over HTTP: each item ends answered or failed with the right reason, none twice, none lost."""

import itertools
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from preannotation_assets.answer_store.index import AnswerIndex, RequestSpan
from preannotation_assets.errors import ModelError, RunStoppedError
from preannotation_assets.extraction.answers import AnsweredQuote, parse_answer
from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.extraction.spans import Grounding, Quote
from preannotation_assets.lake import StoreLocation, open_store
from preannotation_assets.model_servers.http_client import Timeouts
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.template import ModelOptions, request_key
from preannotation_assets.simulator import (
    Fault,
    FaultRule,
    HabitRates,
    RequestRecord,
    RunningSimulator,
    SimulatedModel,
)
from preannotation_assets.throttling.dispatcher import Limits

PORTS = ("Rotterdam", "Hamburg", "Antwerp", "Singapore", "Bergen", "Marseille", "Valparaiso")


def page(number: int, lines: int = 2) -> str:
    """A page that is unlike the others; a line is about 70 code points."""
    return f"Document {number}.\n" + "".join(
        f"MV OCEAN STAR {number} left {PORTS[line % len(PORTS)]} on {line + 1} March 1999, flag Panama.\n"
        for line in range(lines)
    )


TEXTS = [page(number) for number in range(24)]
NEVER_STOP = Limits(max_in_flight=4, max_failure_rate=1.0, linger_seconds=0.05, first_rest_seconds=0.05)


def _asked(simulator: RunningSimulator) -> list[RequestRecord]:
    return [record for record in simulator.requests() if not record.is_load_only]


def _served_twice(simulator: RunningSimulator) -> int:
    """Prompts that were answered more than once although their first answer was fine."""
    fine = [
        record.prompt_sha256
        for record in _asked(simulator)
        if record.status == 200 and record.fault is None and not record.is_disconnected
    ]
    return sum(count - 1 for count in Counter(fine).values())


def test_without_faults_every_text_is_answered_by_one_request(simulator: Any, new_run: Any) -> None:
    server = simulator()
    run = new_run(server)
    run.ask(TEXTS)
    assert run.statuses() == {"answered": len(TEXTS)}
    assert len(_asked(server)) == len(TEXTS)
    assert server.summary().peak_in_flight <= 4
    assert {row["attempts"] for row in run.rows} == {1}
    assert all(sum(row["token_lengths"]) == len(row["answer"]) for row in run.rows)
    assert all(row["prompt_tokens"] and row["answer_tokens"] for row in run.rows)
    assert run.progress.answered == len(TEXTS)
    assert run.progress.answer_tokens == sum(row["answer_tokens"] for row in run.rows)
    assert run.progress.empty == 0


def test_answers_that_name_nothing_are_answers_and_are_counted(simulator: Any, new_run: Any) -> None:
    run = new_run(simulator(habits=replace(HabitRates.NONE, omit=1.0)))
    run.ask(TEXTS)
    assert run.statuses() == {"answered": len(TEXTS)}
    assert (run.progress.answered, run.progress.empty) == (len(TEXTS), len(TEXTS))


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.CRASH, "server_error"),
        (Fault.CRASH_MID_GENERATION, "server_error"),
        (Fault.ERROR_MID_STREAM, "server_error"),
        (Fault.SOCKET_RESET, "connection_lost"),
        (Fault.BUSY, "overloaded"),
        (Fault.RATE_LIMIT, "overloaded"),
        (Fault.EDGE_TIMEOUT, "server_error"),
        (Fault.NOT_DONE, "not_done"),
        (Fault.EMPTY_ANSWER, "empty_answer"),
        (Fault.INVALID_JSON, "invalid_answer"),
        (Fault.WHITESPACE, "endless_answer"),
    ],
)
def test_a_fault_now_and_then_costs_a_retry_and_no_answer(
    simulator: Any, new_run: Any, fault: Fault, reason: str, is_streamed: bool
) -> None:
    server = simulator(faults=(FaultRule(fault, requests=(2, 15)),))
    run = new_run(server, streamed=frozenset({server.url} if is_streamed else ()))
    run.ask(TEXTS)
    assert run.statuses() == {"answered": len(TEXTS)}
    assert run.progress.repeated[reason] >= 2
    assert _served_twice(server) == 0


@pytest.mark.parametrize(
    ("fault", "reason", "attempts"),
    [
        (Fault.EDGE_TIMEOUT, "server_error", 3),
        (Fault.SOCKET_RESET, "connection_lost", 3),
        (Fault.INVALID_JSON, "invalid_answer", 2),
        (Fault.EMPTY_ANSWER, "empty_answer", 2),
        (Fault.WHITESPACE, "endless_answer", 2),
        (Fault.NOT_DONE, "not_done", 2),
    ],
)
def test_a_fault_that_stays_is_recorded_with_its_reason_after_its_budget(
    simulator: Any, new_run: Any, fault: Fault, reason: str, attempts: int
) -> None:
    server = simulator(faults=(FaultRule(fault, probability=1.0),))
    run = new_run(server, limits=NEVER_STOP, policy=RetryPolicy(attempts=3, first_backoff=0.01))
    short = [f"MV STAR {number}, flag Panama." for number in range(2)]
    run.ask(short)
    assert run.statuses() == {reason: len(short)}
    assert {row["attempts"] for row in run.rows} == {attempts}
    assert len(_asked(server)) == attempts * len(short)


def test_an_endless_answer_over_a_stream_is_left_long_before_its_longest(
    simulator: Any, new_run: Any, template: Any
) -> None:
    server = simulator(speed=100.0, faults=(FaultRule(Fault.WHITESPACE, requests=(1,)),))
    run = new_run(server, streamed=frozenset({server.url}))
    run.template = replace(template, options=ModelOptions(context_tokens=8192, answer_tokens=5000))
    run.ask(TEXTS[:2])
    assert run.statuses() == {"answered": 2}
    assert run.progress.repeated == {"endless_answer": 1}
    endless = next(record for record in _asked(server) if record.fault)
    assert endless.is_disconnected
    assert (endless.output_tokens or 0) < 2500


def test_retries_of_a_bad_answer_are_never_the_identical_request(simulator: Any, new_run: Any) -> None:
    server = simulator(faults=(FaultRule(Fault.WHITESPACE, probability=1.0),))
    run = new_run(server, limits=NEVER_STOP)
    run.ask([page(1, lines=8)])
    reasons = {row["reason"] for row in run.rows}
    assert reasons == {"endless_answer"}
    assert len(run.leaves[0]) > 1
    # Twice each: as it was, and once varied.
    assert set(Counter(record.prompt_sha256 for record in _asked(server)).values()) == {2}


def test_a_prompt_that_does_not_fit_is_split_and_its_parts_cover_it(simulator: Any, new_run: Any) -> None:
    server = simulator()
    text = page(1, lines=320)
    run = new_run(server)
    run.ask([text, page(2)])
    assert {row["status"] for row in run.rows} == {"answered"}
    (parts, whole) = run.leaves
    assert len(parts) >= 2
    assert (len(whole), parts[0].start, parts[-1].end) == (1, 0, len(text))
    assert all(after.start <= before.end for before, after in itertools.pairwise(parts))
    assert not any(record.is_truncated or record.is_shifted for record in _asked(server))


def test_of_an_answer_that_is_cut_off_the_complete_part_is_kept_and_only_the_rest_asked(
    simulator: Any, new_run: Any
) -> None:
    server = simulator()
    run = new_run(server)
    text = page(1, lines=40)
    run.ask([text])
    salvaged = [row for row in run.rows if row["reason"] == "salvaged"]
    assert run.progress.salvaged == len(salvaged) >= 1
    assert {row["status"] for row in run.rows} == {"answered"}
    assert _served_twice(server) == 0
    # One request for each row: those that were salvaged need none, those that were split count.
    asked = _asked(server)
    assert len(asked) == len(run.rows) - len(salvaged) + run.progress.split
    assert run.progress.added == len(run.rows) - len(salvaged) - 1
    (leaves,) = run.leaves
    assert (leaves[0].start, leaves[-1].end) == (0, len(text))
    assert all(after.start <= before.end for before, after in itertools.pairwise(leaves))
    # What the requests took is counted once, and all of it.
    assert all(row["answer_tokens"] is row["latency_seconds"] is None for row in salvaged)
    assert run.progress.answer_tokens == sum(record.output_tokens for record in asked)
    assert all(sum(row["token_lengths"]) == len(row["answer"]) for row in run.rows)
    by_key = {row["request_key"]: row for row in run.rows}
    places = {
        (leaf.start + place.start, quote.label)
        for leaf in leaves
        for quote, place in _grounded(text[leaf.start : leaf.end], by_key[leaf.request_key]["answer"])
    }
    whole = new_run(simulator())
    whole.folder = run.folder / "whole"
    whole.template = replace(run.template, options=ModelOptions(8192, 4096))
    whole.ask([text])
    assert len(whole.rows) == 1
    assert places == {(place.start, quote.label) for quote, place in _grounded(text, whole.rows[0]["answer"])}
    index = AnswerIndex.read(open_store(StoreLocation(str(run.folder))), "answers")
    key = request_key(run.template.fingerprint, text_sha256(text))
    assert index.unanswered(RequestSpan(0, len(text), key)) == []


def _grounded(text: str, answer: str) -> list[tuple[AnsweredQuote, Grounding]]:
    quotes = parse_answer(answer).quotes
    places = ground(text, [Quote(quote.label, quote.text) for quote in quotes])
    return [(q, place) for q, place in zip(quotes, places, strict=True) if isinstance(place, Grounding)]


def test_a_model_that_is_gone_stops_the_run(simulator: Any, new_run: Any) -> None:
    run = new_run(simulator(models=(SimulatedModel("another:8b"),)))
    with pytest.raises(ModelError, match="ollama pull"):
        run.ask(TEXTS)


def test_a_stall_is_given_up_after_its_time_and_asked_again(simulator: Any, new_run: Any) -> None:
    server = simulator(faults=(FaultRule(Fault.STALL, requests=(3,), seconds=60.0),))
    run = new_run(server, timeouts=Timeouts(first_token=3.0))
    began = time.monotonic()
    run.ask(TEXTS)
    assert time.monotonic() - began < 20
    assert run.statuses() == {"answered": len(TEXTS)}
    assert run.progress.repeated == {"timed_out": 1}


def test_silence_inside_a_stream_is_bounded_by_itself(simulator: Any, new_run: Any) -> None:
    server = simulator(faults=(FaultRule(Fault.STALL_MID_STREAM, requests=(3,), seconds=60.0),))
    run = new_run(
        server, streamed=frozenset({server.url}), timeouts=Timeouts(first_token=50.0, between_tokens=2.0)
    )
    run.ask(TEXTS)
    assert run.statuses() == {"answered": len(TEXTS)}
    assert run.progress.repeated == {"timed_out": 1}


@pytest.mark.parametrize("fault", [Fault.RATE_LIMIT_SECONDS, Fault.RATE_LIMIT_DATE])
def test_nobody_asks_before_retry_after(simulator: Any, new_run: Any, fault: Fault) -> None:
    server = simulator(faults=(FaultRule(fault, requests=(1,), seconds=3.0),))
    run = new_run(server, limits=Limits(max_in_flight=1))
    run.ask(TEXTS[:3])
    assert run.statuses() == {"answered": 3}
    first, second = _asked(server)[:2]
    # The date form has whole seconds.
    assert second.arrived_at - first.arrived_at > 1.5


def test_too_many_failures_end_the_run_early_and_it_says_so(simulator: Any, new_run: Any) -> None:
    server = simulator(faults=(FaultRule(Fault.EMPTY_ANSWER, probability=1.0),))
    run = new_run(server)
    with pytest.raises(RunStoppedError, match="of the last 20 chunks failed \\(empty_answer 20 times"):
        run.ask([f"MV STAR {number}, flag Panama." for number in range(200)])
    assert len(_asked(server)) < 60
    assert set(run.statuses()) == {"empty_answer"}


def test_an_endpoint_that_dies_is_left_out_and_the_other_does_its_work(simulator: Any, new_run: Any) -> None:
    alive = simulator()
    with RunningSimulator() as dead:
        run = new_run(dead, alive)
    run.ask(TEXTS)
    assert run.statuses() == {"answered": len(TEXTS)}
    assert {row["endpoint"] for row in run.rows} == {alive.url}
    assert run.progress.endpoints[dead.url].rests >= 1
    assert run.progress.repeated["unreachable"] < 12


MIXED = (
    Fault.CRASH,
    Fault.CRASH_MID_GENERATION,
    Fault.ERROR_MID_STREAM,
    Fault.SOCKET_RESET,
    Fault.BUSY,
    Fault.NOT_DONE,
    Fault.INVALID_JSON,
    Fault.WHITESPACE,
    Fault.EMPTY_ANSWER,
    Fault.RATE_LIMIT,
    Fault.RATE_LIMIT_SECONDS,
    Fault.EDGE_TIMEOUT,
)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_all_faults_at_once(simulator: Any, new_run: Any, is_streamed: bool) -> None:
    server = simulator(faults=tuple(FaultRule(fault, probability=0.04) for fault in MIXED))
    run = new_run(server, limits=NEVER_STOP, streamed=frozenset({server.url} if is_streamed else ()))
    texts = [page(number) for number in range(120)]
    run.ask(texts)
    assert len(run.leaves) == len(texts)
    assert len(run.rows) == sum(map(len, run.leaves))
    keys = [row["request_key"] for row in run.rows]
    assert len(set(keys)) == len(keys)
    answered = sum(row["status"] == "answered" for row in run.rows)
    assert answered >= 0.9 * len(keys)
    assert all((row["reason"] is None) == (row["status"] == "answered") for row in run.rows)
    assert server.summary().peak_in_flight <= 4
    assert _served_twice(server) == 0
