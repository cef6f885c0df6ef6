"""What an exchange with a server means, and what is sent with a request."""

import json
import pickle
from typing import Any

import pytest
from opentelemetry.semconv._incubating.attributes.gen_ai_attributes import GenAiProviderNameValues

from preannotation_assets.errors import ModelError
from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.model_servers.openai.variant import SchemaForm, Software, Variant
from preannotation_assets.model_servers.outcomes import (
    Answered,
    Outcome,
    Reason,
    Stop,
    TooLong,
    Unavailable,
    Unusable,
)
from preannotation_assets.model_servers.template import RequestTemplate

SERVER = OpenAIServer(variant=Variant(Software.VLLM))
ANSWER = '{"spans":[{"port":"say \\"hi\\" C:\\\\ and\\nmore"}]}'


def completion(
    content: str = ANSWER, reason: str | None = "stop", tokens: int = 5, **more: Any
) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 100, "completion_tokens": tokens},
        **more,
    }


def read(
    content: object,
    server: OpenAIServer = SERVER,
    *,
    media_type: str = "application/json",
    asked_tokens: int = 400,
    **changes: Any,
) -> Outcome:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    request = HttpRequest("POST", "/v1/chat/completions", {"max_tokens": asked_tokens})
    headers = {"content-type": media_type}
    exchange = Exchange("http://gpu", 0.0, 1.0, None, 200, headers, body, request=request, **changes)
    return server.read(exchange, "m")


def events(*chunks: dict[str, Any]) -> bytes:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode() + b"data: [DONE]\n\n"


def piece(content: str, reason: str | None = None) -> dict[str, Any]:
    return {"model": "m", "choices": [{"delta": {"content": content}, "finish_reason": reason}]}


def test_an_answer_with_escapes_is_one() -> None:
    outcome = read(completion())
    assert isinstance(outcome, Answered)
    assert outcome.reply.content == ANSWER


def test_a_limit_that_the_server_has_lowered_is_the_context_s() -> None:
    cut = completion('{"spans":[{"port":"Rott', "length", tokens=65)
    outcome = read(cut)
    assert isinstance(outcome, TooLong)
    assert outcome.reason is Reason.CONTEXT_EXCEEDED
    # The beginning was paid for, and is kept in part.
    assert outcome.reply is not None
    outcome = read(cut, asked_tokens=65)
    assert isinstance(outcome, TooLong)
    assert outcome.reason is Reason.ANSWER_TOO_LONG


def test_a_limit_without_counts_is_the_answer_s() -> None:
    outcome = read({**completion('{"spans":[{"port":"Rott', "length"), "usage": None})
    assert isinstance(outcome, TooLong)
    assert outcome.reason is Reason.ANSWER_TOO_LONG


@pytest.mark.parametrize("tokens", [400, 65])
def test_white_space_without_end_is_no_answer_that_a_shorter_text_would_have(tokens: int) -> None:
    for content in ('{"spans":[\n' + "\n" * 700, "\n" * 30, "{ " + " " * 900):
        assert read(completion(content, "length", tokens)) == Unusable(Reason.ENDLESS_ANSWER)


@pytest.mark.parametrize("reason", ["abort", "content_filter", "tool_calls", "error"])
def test_an_end_for_another_reason_is_none(reason: str) -> None:
    assert read(completion(reason=reason)) == Unusable(Reason.NOT_DONE)


def test_a_quote_that_is_longer_than_a_grammar_would_allow_is_no_answer() -> None:
    def answer(length: int) -> str:
        return json.dumps({"spans": [{"port": '"' + "x" * (length - 1)}]})

    assert isinstance(read(completion(answer(300))), Answered)
    assert read(completion(answer(301))) == Unusable(Reason.INVALID_ANSWER)
    escaped = json.dumps({"spans": [{"port": "\n" * 300}]})
    assert isinstance(read(completion(escaped)), Answered)


def test_free_text_and_thoughts_are_no_answer() -> None:
    assert read(completion("The port is Rotterdam.")) == Unusable(Reason.INVALID_ANSWER)
    thoughts = completion("")
    thoughts["choices"][0]["message"]["reasoning"] = ANSWER
    assert read(thoughts) == Unusable(Reason.EMPTY_ANSWER)


def test_another_model_than_was_asked_stops_the_run() -> None:
    outcome = read(completion(model="other"))
    assert isinstance(outcome, Stop)
    assert isinstance(outcome.error, ModelError)
    assert "other" in str(outcome.error)
    known = SERVER.for_variant("unknown response_format.json_schema other")
    assert isinstance(read(completion(model="other"), known), Answered)
    assert isinstance(read(completion(model="m"), known), Answered)


def test_no_completion() -> None:
    for strange in (b"{", b"7", {}, {"choices": []}, {"choices": [{}]}):
        assert read(strange) == Unusable(Reason.INVALID_ANSWER)


@pytest.mark.parametrize("media_type", ["text/event-stream", "text/event-stream; charset=utf-8"])
def test_a_stream_is_read_as_a_whole_answer_is(media_type: str) -> None:
    stream = events(piece(ANSWER[:9]), piece(ANSWER[9:], "stop"))
    outcome = read(stream, media_type=media_type)
    assert isinstance(outcome, Answered)
    assert outcome.reply.content == ANSWER


def test_a_broken_stream_is_none_although_it_says_done() -> None:
    error = {"error": {"message": "EngineCore encountered an issue", "code": 500}}
    stream = "text/event-stream"
    assert read(events(piece(ANSWER), error), media_type=stream) == Unavailable(Reason.SERVER_ERROR)
    assert read(events(piece(ANSWER)), media_type=stream) == Unavailable(Reason.CONNECTION_LOST)
    assert read(b"data: {", media_type=stream) == Unavailable(Reason.SERVER_ERROR)
    assert read({"error": {"code": 503}}) == Unavailable(Reason.OVERLOADED)


def test_a_stream_that_was_left_is_endless() -> None:
    stream = events(piece("x"), piece("y")).removesuffix(b"data: [DONE]\n\n")
    outcome = read(stream, media_type="text/event-stream", given_up=True)
    assert outcome == Unusable(Reason.ENDLESS_ANSWER)


def test_what_is_lost_is_unavailable() -> None:
    exchange = Exchange("http://gpu", 0.0, 1.0, Reason.TIMED_OUT)
    assert SERVER.read(exchange, "m") == Unavailable(Reason.TIMED_OUT)


@pytest.mark.parametrize(
    "variant",
    [
        Variant(),
        Variant(Software.VLLM, SchemaForm.STRUCTURED_OUTPUTS),
        Variant(Software.UNKNOWN, SchemaForm.JSON_OBJECT, "/models/a name with blanks.gguf"),
    ],
)
def test_a_variant_is_read_as_it_was_written_and_goes_to_the_tasks(variant: Variant) -> None:
    server = OpenAIServer(revision="r").for_variant(str(variant))
    assert server == OpenAIServer("r", variant)
    assert pickle.loads(pickle.dumps(server)) == server


def test_there_is_nothing_to_load(template: RequestTemplate) -> None:
    assert SERVER.preload_request(template) is None


def test_the_provider_in_the_metrics_is_a_value_of_opentelemetry_s_conventions() -> None:
    assert SERVER.provider in {value.value for value in GenAiProviderNameValues}
