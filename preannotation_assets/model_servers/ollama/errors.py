"""What Ollama's error replies mean. Pure."""

import re
from collections.abc import Mapping
from typing import Final

from preannotation_assets.errors import EndpointError, InferenceError, ModelError
from preannotation_assets.model_servers.json_values import as_json
from preannotation_assets.model_servers.outcomes import Outcome, Reason, Refused, Stop, TooLong, Unavailable
from preannotation_assets.model_servers.statuses import (
    BAD_REQUEST,
    NOT_FOUND,
    error_text,
    is_denied,
    is_wrong_for_all,
    judge_unavailable,
    login_error,
)

__all__ = ["judge_error", "judge_error_line"]

# llama-server's code, the words of Ollama 0.12.6 to 0.24, those for MLX models, and those of its own check.
_TOO_LONG: Final = re.compile(
    r"exceed_context_size"
    r"|input length\b.{0,40} exceeds the (model's maximum )?context length"
    r"|prompt is longer than the context length",
    re.IGNORECASE,
)
# What a 400 says when every request would get it: schema, model, or a setting all requests share.
_WRONG_FOR_ALL: Final = re.compile(
    "schema|grammar|think|keep_alive|invalid model|option|logprobs", re.IGNORECASE
)


def judge_error(endpoint: str, model: str, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """What a status other than 200, or a 200 that is not JSON, means; ``headers`` has lower-case names."""
    error = error_text(body)
    if error is not None and _TOO_LONG.search(error):
        return TooLong(Reason.CONTEXT_EXCEEDED)
    unavailable = judge_unavailable(status, headers)
    if unavailable:
        return unavailable
    if status >= BAD_REQUEST and not is_wrong_for_all(status) and error and not _WRONG_FOR_ALL.search(error):
        return Refused()
    return Stop(_refusal(endpoint, model, status, error))


def judge_error_line(error: object) -> Outcome:
    """What an ``error`` as a line of a stream under status 200 means."""
    if _TOO_LONG.search(error if isinstance(error, str) else as_json(error)):
        return TooLong(Reason.CONTEXT_EXCEEDED)
    return Unavailable(Reason.SERVER_ERROR)


def _refusal(endpoint: str, model: str, status: int, error: str | None) -> InferenceError:
    if is_denied(status, error):
        return login_error(endpoint, "Ollama", status)
    if status == NOT_FOUND and error is None:
        return EndpointError(f"{endpoint} has no /api/chat (404)", "is it an Ollama server?")
    if status == NOT_FOUND:
        return ModelError(f"{endpoint} has no model {model} (404)", f"run ollama pull {model}")
    return EndpointError(f"{endpoint} refuses the request with status {status}", _refusal_cure(error))


def _refusal_cure(error: str | None) -> str:
    if error is not None and re.search("schema|grammar", error, re.IGNORECASE):
        return "it does not accept the answer schema; look at the label scheme"
    return "look at the server's log"
