"""What the error replies of OpenAI-compatible servers mean. Pure."""

import re
from collections.abc import Mapping
from typing import Final

from preannotation_assets.errors import EndpointError, InferenceError, ModelError
from preannotation_assets.model_servers.addresses import KEY_VARIABLE
from preannotation_assets.model_servers.json_values import as_json, as_mapping, load_object
from preannotation_assets.model_servers.outcomes import Outcome, Reason, Refused, Stop, TooLong, Unavailable
from preannotation_assets.model_servers.statuses import (
    BAD_REQUEST,
    NOT_FOUND,
    error_text,
    is_denied,
    is_wrong_for_all,
    judge_unavailable,
    key_error,
    login_error,
)

__all__ = ["judge_error", "judge_error_object"]

# vLLM names the parameter, llama-server the type, OpenAI a code; all others say it in words only.
_TOO_LONG: Final = re.compile(
    r"exceed_context_size_error|\"param\": \"input_tokens\"|context_length_exceeded"
    r"|(maximum |model'?s )context length"
    # vLLM where the engine itself refuses.
    r"|prompt( \(length \d+\))? is longer than the maximum model length"
    # SGLang.
    r"|input length \(\d+ tokens\) exceeds the maximum allowed length"
    # llama-server before it had a type for it, and where the context runs full on the way.
    r"|exceeds the available context size|context size has been exceeded"
    # LM Studio, by its version.
    r"|trying to keep the first \d+ tokens when context|greater than the context length"
    # TGI, llama-cpp-python, TabbyAPI.
    r"|`inputs` (tokens \+ `max_new_tokens` must be <=|must have less than)"
    r"|exceed context window of|is greater than max_seq_len",
    re.IGNORECASE,
)
# With which a text that is too long is refused; llama-server's 500 is of a context that ran full on the way.
_TOO_LONG_STATUSES: Final = frozenset({BAD_REQUEST, 413, 422, 500})
_SCHEMA: Final = re.compile(r"schema|grammar|structured.?output|guided|response_format", re.IGNORECASE)
# What a 400 says when every request would get it: all share these fields. An error may quote a page, so a
# word such as model says nothing by itself.
_WRONG_FOR_ALL: Final = re.compile(
    r"logprobs|max_tokens|max_completion_tokens|temperature|top_p|top_k|seed|stream_options|penalty"
    r"|chat_template|enable_thinking|unsupported|unrecognized|\"param\": \"model\"",
    re.IGNORECASE,
)


def judge_error(endpoint: str, model: str, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """What a status other than 200, or a 200 that is no reply, means; ``headers`` has lower-case names."""
    error = error_text(body) or _error_without_envelope(body)
    if error and status in _TOO_LONG_STATUSES and _TOO_LONG.search(error):
        return TooLong(Reason.CONTEXT_EXCEEDED)
    unavailable = judge_unavailable(status, headers)
    if unavailable:
        return unavailable
    if status >= BAD_REQUEST and not is_wrong_for_all(status) and error and not _is_wrong_for_all(error):
        return Refused()
    return Stop(_refusal(endpoint, model, status, error))


def judge_error_object(error: object) -> Outcome:
    """What an ``error`` under status 200 means: servers send one in a stream that has begun.

    Its ``code`` is the status that would have been sent.
    """
    code = as_mapping(error).get("code")
    if _TOO_LONG.search(as_json(error)):
        return TooLong(Reason.CONTEXT_EXCEEDED)
    status = code if isinstance(code, int) and not isinstance(code, bool) else 500
    return judge_unavailable(status, {}) or Unavailable(Reason.SERVER_ERROR)


def _error_without_envelope(body: bytes) -> str | None:
    """The error of older vLLM and SGLang, which is the object itself; "" for JSON that tells none."""
    payload = load_object(body)
    if payload is None:
        return None
    return as_json(payload) if payload.get("object") == "error" else ""


def _is_wrong_for_all(error: str) -> bool:
    return bool(_SCHEMA.search(error) or _WRONG_FOR_ALL.search(error))


def _refusal(endpoint: str, model: str, status: int, error: str | None) -> InferenceError:
    if status in {401, 403} and error is not None:
        return key_error(endpoint, status, KEY_VARIABLE)
    if is_denied(status, error):
        return login_error(endpoint, "OpenAI", status)
    if status == NOT_FOUND and not error:
        return EndpointError(f"{endpoint} has no /v1/chat/completions (404)", "is its address right?")
    if status == NOT_FOUND:
        return ModelError(f"{endpoint} has no model {model} (404)", "set PREANNOTATION_MODEL to one it has")
    return EndpointError(f"{endpoint} refuses the request with status {status}", _refusal_cure(error))


def _refusal_cure(error: str | None) -> str:
    if error and _SCHEMA.search(error):
        return "it does not accept the answer schema; look at the label scheme and at the server's log"
    return "look at the server's log"
