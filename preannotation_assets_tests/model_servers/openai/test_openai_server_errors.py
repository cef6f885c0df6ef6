"""What errors mean: bodies as vLLM 0.32, llama-server b10434 and what stands before them send them."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.errors import AccessDeniedError, EndpointError, InferenceError, ModelError
from preannotation_assets.model_servers.openai.errors import judge_error, judge_error_object
from preannotation_assets.model_servers.outcomes import Outcome, Reason, Refused, Stop, TooLong, Unavailable

ENDPOINT = "http://gpu:8000"
VLLM_TOO_LONG = {
    "error": {
        "message": "This model's maximum context length is 4096 tokens. However, your request has 9000 input "
        "tokens. Please reduce the length of the input messages.",
        "type": "BadRequestError",
        "param": "input_tokens",
        "code": 400,
    }
}
LLAMA_TOO_LONG = {
    "error": {
        "code": 400,
        "message": "request (11004 tokens) exceeds the available context size (4096 tokens)",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 11004,
        "n_ctx": 4096,
    }
}


def judged(status: int, body: object, **headers: str) -> Outcome:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return judge_error(ENDPOINT, "m", status, headers, content)


def stopped(status: int, body: object) -> InferenceError:
    outcome = judged(status, body)
    assert isinstance(outcome, Stop), outcome
    assert "\n" not in str(outcome.error)
    assert outcome.error.cure
    assert str(pickle.loads(pickle.dumps(outcome.error))) == str(outcome.error)
    return outcome.error


def vllm_400(message: str, param: str | None = None) -> dict[str, object]:
    return {"error": {"message": message, "type": "BadRequestError", "param": param, "code": 400}}


def sglang_error(code: int, message: str) -> dict[str, object]:
    """The error object of SGLang and of older vLLM, which is in no other."""
    return {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": code}


@pytest.mark.parametrize(
    "body",
    [
        VLLM_TOO_LONG,
        LLAMA_TOO_LONG,
        vllm_400("This model's maximum context length is 4096 tokens."),
        sglang_error(400, "The input (9000 tokens) is longer than the model's context length (4096 tokens)."),
        sglang_error(400, "Input length (9000 tokens) exceeds the maximum allowed length (4090 tokens)."),
        vllm_400("The decoder prompt (length 9000) is longer than the maximum model length of 4096."),
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
            }
        },
        # LM Studio, by its version; the first is not in an object.
        {"error": "Trying to keep the first 9000 tokens when context the overflows. However, the model is"},
        {"error": {"message": "The number of tokens to keep is greater than the context length"}},
        {"error": {"code": "context_length_exceeded", "message": "Too long."}},
        {"error": "Input validation error: `inputs` must have less than 4095 tokens. Given: 9000"},
        {"error": {"message": "Requested tokens (9000) exceed context window of 4096"}},
    ],
)
def test_only_a_shorter_text_helps(body: object) -> None:
    assert judged(400, body) == TooLong(Reason.CONTEXT_EXCEEDED)


def test_a_context_that_runs_full_on_the_way_is_no_crash() -> None:
    body = {"error": {"code": 500, "message": "Context size has been exceeded.", "type": "server_error"}}
    assert judged(500, body) == TooLong(Reason.CONTEXT_EXCEEDED)
    assert judge_error_object(body["error"]) == TooLong(Reason.CONTEXT_EXCEEDED)


@pytest.mark.parametrize(
    "body",
    [
        {"error": "Unauthorized"},
        {"error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}},
    ],
)
@pytest.mark.parametrize("status", [401, 403])
def test_a_key_is_missing_or_wrong(status: int, body: object) -> None:
    error = stopped(status, body)
    assert isinstance(error, AccessDeniedError)
    assert "PREANNOTATION_SERVER_API_KEY" in error.cure
    assert "CF_ACCESS" not in str(error)


@pytest.mark.parametrize("status", [200, 302, 401, 403])
def test_a_login_page_wants_no_key(status: int) -> None:
    error = stopped(status, b"<html>log in</html>")
    assert isinstance(error, AccessDeniedError)
    assert "CF_ACCESS_CLIENT_ID" in error.cure
    assert "API_KEY" not in str(error)


def test_no_such_model() -> None:
    body = {
        "error": {
            "message": "The model `m` does not exist.",
            "type": "NotFoundError",
            "param": "model",
            "code": 404,
        }
    }
    error = stopped(404, body)
    assert isinstance(error, ModelError)
    assert "PREANNOTATION_MODEL" in error.cure
    assert isinstance(stopped(404, sglang_error(404, "The model `m` does not exist.")), ModelError)
    error = stopped(404, {"detail": "Not Found"})
    assert isinstance(error, EndpointError)
    assert "/v1/chat/completions" in error.problem


@pytest.mark.parametrize(
    "message",
    [
        "Grammar error: Invalid JSON Schema",
        "JSON schema conversion failed:\nUnrecognized schema",
        "failed to parse grammar",
        "You can only use one kind of structured outputs",
    ],
)
def test_a_schema_that_no_grammar_is_made_of_stops_the_run(message: str) -> None:
    error = stopped(400, vllm_400(message))
    assert "answer schema" in error.cure
    assert message not in str(error)


@pytest.mark.parametrize(
    "message",
    ["top_logprobs must be at most 20", "max_tokens must be at least 1", "Unsupported parameter: seed"],
)
def test_what_is_in_every_request_stops_the_run(message: str) -> None:
    stopped(400, vllm_400(message))


def test_a_request_that_is_refused_for_its_text_is_refused_alone() -> None:
    for message in ("the third character makes no sense", "not allowed: 'a model of the ship'"):
        assert judged(400, vllm_400(message)) == Refused()
        assert judged(400, sglang_error(400, message)) == Refused()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (
            503,
            {
                "error": {
                    "message": "The engine is currently busy with too many queued requests.",
                    "type": "Service Unavailable",
                    "code": 503,
                }
            },
        ),
        (503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}),
        (503, {"error": "The request queue is full."}),
        (429, b"<html>slow down</html>"),
    ],
)
def test_a_full_queue_is_waited_for(status: int, body: object) -> None:
    assert judged(status, body) == Unavailable(Reason.OVERLOADED, None)
    assert judged(status, body, **{"retry-after": "7"}) == Unavailable(Reason.OVERLOADED, 7.0)


@pytest.mark.parametrize("status", [500, 502, 504, 520, 524])
def test_a_dead_engine_is_asked_again_later(status: int) -> None:
    body = {"error": {"message": "EngineCore encountered an issue.", "type": "InternalServerError"}}
    assert judged(status, body) == Unavailable(Reason.SERVER_ERROR)
    assert judged(status, b"<html>") == Unavailable(Reason.SERVER_ERROR)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ({"message": "EngineCore encountered an issue", "code": 500}, Unavailable(Reason.SERVER_ERROR)),
        ({"message": "busy", "code": 503}, Unavailable(Reason.OVERLOADED)),
        (VLLM_TOO_LONG["error"], TooLong(Reason.CONTEXT_EXCEEDED)),
        (LLAMA_TOO_LONG["error"], TooLong(Reason.CONTEXT_EXCEEDED)),
        ("something", Unavailable(Reason.SERVER_ERROR)),
        ({"code": True}, Unavailable(Reason.SERVER_ERROR)),
        ({"code": 400}, Unavailable(Reason.SERVER_ERROR)),
    ],
)
def test_an_error_under_200(error: object, outcome: Outcome) -> None:
    assert judge_error_object(error) == outcome


@given(st.integers(200, 599), st.binary() | st.text().map(lambda text: json.dumps({"error": text}).encode()))
def test_nothing_of_a_body_is_ever_told(status: int, body: bytes) -> None:
    outcome = judge_error(ENDPOINT, "m", status, {}, b'{"error": "hunter2"}' + body)
    assert "hunter2" not in repr(outcome)
    judge_error(ENDPOINT, "m", status, {}, body)
