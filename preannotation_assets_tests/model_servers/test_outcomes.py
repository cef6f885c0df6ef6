"""What a reply means: every row of Ollama's error table, and what proxies add to it."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.contracts import UNUSABLE_REASONS
from preannotation_assets.errors import AccessDeniedError, EndpointError, ModelError
from preannotation_assets.extraction.answers import AnswerFault
from preannotation_assets.model_servers.exchange import Exchange
from preannotation_assets.model_servers.ollama.errors import judge_error
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.ollama.wire import parse_reply
from preannotation_assets.model_servers.outcomes import (
    Answered,
    Outcome,
    Reason,
    Refused,
    Stop,
    TooLong,
    Unavailable,
    Unusable,
    judge_reply,
)
from preannotation_assets.model_servers.retry_policy import LONGEST_RETRY_AFTER, RetryPolicy
from preannotation_assets.model_servers.statuses import parse_retry_after

ENDPOINT = "http://gpu:11434"
SECRET_PAGE = "MV EVER GIVEN, owner Shoei Kisen"
REPLY = parse_reply(
    {"message": {"content": '{"spans": [{"flag": "Panama"}]}'}, "done": True, "done_reason": "stop"}
)


def _judge(status: int, error: object, headers: dict[str, str] | None = None) -> Outcome:
    body = error if isinstance(error, bytes) else json.dumps({"error": error}).encode()
    return judge_error(ENDPOINT, "llama3.3:70b", status, headers or {}, body)


def _runner(kind: str, message: str) -> str:
    return json.dumps({"error": {"code": 400, "message": message, "type": kind, "n_ctx": 4096}})


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (500, "llama-server process has terminated: exit status 1", Unavailable(Reason.SERVER_ERROR)),
        (500, "model runner has unexpectedly stopped, this may be", Unavailable(Reason.SERVER_ERROR)),
        (500, "an error was encountered while running the model: x", Unavailable(Reason.SERVER_ERROR)),
        (503, "server busy, please try again.", Unavailable(Reason.OVERLOADED)),
        (429, "too many requests", Unavailable(Reason.OVERLOADED)),
        (502, b"<html>bad gateway</html>", Unavailable(Reason.SERVER_ERROR)),
        (504, b"", Unavailable(Reason.SERVER_ERROR)),
        pytest.param(502, b"[" * 100_000, Unavailable(Reason.SERVER_ERROR), id="nested too deep"),
        (524, b"<html>A timeout occurred</html>", Unavailable(Reason.SERVER_ERROR)),
        (408, b"", Unavailable(Reason.SERVER_ERROR)),
        (400, _runner("exceed_context_size_error", "too many"), TooLong(Reason.CONTEXT_EXCEEDED)),
        (400, {"type": "exceed_context_size_error"}, TooLong(Reason.CONTEXT_EXCEEDED)),
        (400, "the input length exceeds the context length", TooLong(Reason.CONTEXT_EXCEEDED)),
        (
            400,
            "input length (9000 tokens) exceeds the model's maximum context length (8192 tokens)",
            TooLong(Reason.CONTEXT_EXCEEDED),
        ),
        (
            400,
            "the prompt is longer than the context length currently available to the model; shorten it",
            TooLong(Reason.CONTEXT_EXCEEDED),
        ),
        (400, "invalid character in the request", Refused()),
        (413, "request body too large", Refused()),
    ],
)
def test_what_may_be_sent_again_or_shorter(status: int, error: object, expected: Outcome) -> None:
    assert _judge(status, error) == expected


@pytest.mark.parametrize(
    ("status", "error", "kind", "said"),
    [
        (404, "model 'llama3.3:70b' not found", ModelError, "ollama pull llama3.3:70b"),
        (404, b"404 page not found", EndpointError, "is it an Ollama server?"),
        (405, b"405 method not allowed", EndpointError, "405"),
        (400, _runner("invalid_request_error", "failed to parse grammar: x"), EndpointError, "schema"),
        (400, '"llama3.3:70b" does not support thinking', EndpointError, "400"),
        (401, "unauthorized", AccessDeniedError, "CF_ACCESS_CLIENT_ID"),
        (403, b"<html>Forbidden</html>", AccessDeniedError, "CF_ACCESS_CLIENT_ID"),
        (403, b"", AccessDeniedError, "403"),
        (302, b"", AccessDeniedError, "302"),
        (200, b"<html>Sign in</html>", AccessDeniedError, "login page"),
    ],
)
def test_what_no_retry_can_help_stops_the_run_with_one_line(
    status: int, error: object, kind: type[Exception], said: str
) -> None:
    outcome = _judge(status, error)
    assert isinstance(outcome, Stop)
    assert type(outcome.error) is kind
    assert said in str(outcome.error)
    assert "\n" not in str(outcome.error)


@given(status=st.integers(300, 599), text=st.text())
def test_no_error_repeats_what_the_server_sent(status: int, text: str) -> None:
    outcome = _judge(status, f"{text} {SECRET_PAGE}")
    assert SECRET_PAGE not in repr(outcome)


@given(status=st.integers(200, 599), body=st.binary())
def test_any_body_is_judged(status: int, body: bytes) -> None:
    assert _judge(status, body) is not None


def test_only_a_whole_answer_that_ended_by_itself_counts() -> None:
    assert REPLY is not None
    assert judge_reply(REPLY) == Answered(REPLY)
    assert judge_reply(None) == Unusable(Reason.INVALID_ANSWER)
    assert judge_reply(replace(REPLY, done=False)) == Unusable(Reason.NOT_DONE)
    broken_off = replace(REPLY, done=False, content='{"spans":[{"port":"' + "Rotterdam Rotterdam " * 2)
    assert judge_reply(broken_off) == Unusable(Reason.NOT_DONE)
    for reason in ("load", "unload", None, "abort"):
        assert judge_reply(replace(REPLY, done_reason=reason)) == Unusable(Reason.NOT_DONE)
    assert judge_reply(replace(REPLY, content="  ")) == Unusable(Reason.EMPTY_ANSWER)
    assert judge_reply(replace(REPLY, content='{"spans": [{"flag":')) == Unusable(Reason.INVALID_ANSWER)


def test_every_fault_of_an_answer_is_a_reason() -> None:
    assert {fault.value for fault in AnswerFault} <= set(Reason)


def test_what_later_runs_take_for_a_want_of_an_answer_are_reasons() -> None:
    assert {fault.value for fault in AnswerFault} < UNUSABLE_REASONS < set(Reason)


def test_an_answer_cut_off_asks_for_less_text_but_an_endless_one_for_another_try() -> None:
    assert REPLY is not None
    spans = ", ".join(f'{{"port": "Port number {number}"}}' for number in range(60))
    cut = replace(REPLY, content=f'{{"spans": [{spans}', done_reason="length")
    assert judge_reply(cut) == TooLong(Reason.ANSWER_TOO_LONG, cut)
    for endless in ("{" + "\n" * 3000, '{"spans": [' + '{"port": "Rotterdam"}, ' * 90, " " * 40):
        assert judge_reply(replace(cut, content=endless)) == Unusable(Reason.ENDLESS_ANSWER)


@given(seconds=st.integers(0, 10**15 - 1))
def test_retry_after_in_seconds(seconds: int) -> None:
    assert parse_retry_after(f" {seconds} ") == seconds


@given(seconds=st.integers(-100_000, 100_000))
def test_retry_after_as_a_date(seconds: int) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    header = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(header, now) == max(0, seconds)


@given(st.text())
def test_retry_after_of_anything_else_is_none_or_a_wait(header: str) -> None:
    wait = parse_retry_after(header)
    assert wait is None or wait >= 0


@pytest.mark.parametrize("header", ["999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_wish_to_be_left_alone_for_ever_is_granted_for_an_hour(header: str) -> None:
    wait = parse_retry_after(header)
    assert RetryPolicy().delay(1, wait, random.Random(0)) == LONGEST_RETRY_AFTER == 3600.0


@pytest.mark.parametrize("status", [429, 503, 500])
def test_retry_after_is_taken_from_every_refusal(status: int) -> None:
    outcome = _judge(status, "busy", {"retry-after": "17"})
    assert isinstance(outcome, Unavailable)
    assert outcome.retry_after == 17


@given(failures=st.integers(1, 2000), retry_after=st.none() | st.floats(0, 5000), seed=st.integers(0, 10))
def test_a_backoff_is_jittered_bounded_and_obeys_retry_after(
    failures: int, retry_after: float | None, seed: int
) -> None:
    policy = RetryPolicy(first_backoff=2.0, longest_backoff=30.0)
    delay = policy.delay(failures, retry_after, random.Random(seed))
    asked = min(retry_after or 0.0, 3600.0)
    assert asked <= delay <= max(30.0, asked)
    assert policy.delay(failures, None, random.Random(seed)) <= 2.0 * 2 ** min(failures - 1, 10)


def test_the_case_of_a_media_type_means_nothing() -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert Exchange(ENDPOINT, 0.0, 1.0, lost=None, status=200, headers=headers).is_reply


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ("the input length exceeds the context length", TooLong(Reason.CONTEXT_EXCEEDED)),
        ({"type": "exceed_context_size_error"}, TooLong(Reason.CONTEXT_EXCEEDED)),
        ("an error was encountered while running the model", Unavailable(Reason.SERVER_ERROR)),
        (None, Unavailable(Reason.SERVER_ERROR)),
    ],
)
def test_an_error_as_a_line_of_a_stream(error: object, outcome: Outcome) -> None:
    content = json.dumps({"error": error}).encode() + b"\n"
    headers = {"content-type": "application/x-ndjson"}
    exchange = Exchange(ENDPOINT, 0.0, 1.0, None, 200, headers, content)
    assert OllamaServer().read(exchange, "llama3.3:70b") == outcome


@pytest.mark.parametrize("line_end", [b"\n\n", b"\r\n", b"\r\n\r\n", b"\n \n"])
def test_blank_lines_of_a_stream_are_passed_over(line_end: bytes) -> None:
    pieces: list[dict[str, object]] = [
        {"message": {"content": '{"spans":'}, "done": False},
        {"message": {"content": "[]}"}, "done": True, "done_reason": "stop"},
    ]
    content = b"".join(json.dumps(piece).encode() + line_end for piece in pieces)
    exchange = Exchange(ENDPOINT, 0.0, 1.0, None, 200, {"content-type": "application/x-ndjson"}, content)
    assert isinstance(OllamaServer().read(exchange, "llama3.3:70b"), Answered)
