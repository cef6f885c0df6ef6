"""The errors that vLLM 0.32 and llama.cpp's server reply with: statuses and bodies."""

import json

from preannotation_assets.errors import PreannotationError
from preannotation_assets.simulator.openai.settings import Flavour
from preannotation_assets.simulator.values import JsonObject

__all__ = [
    "EngineDeadError",
    "QueueFullError",
    "ReplyError",
    "bad_request",
    "error_body",
    "grammar_refused",
    "malformed_body",
    "model_not_found",
    "prompt_too_long",
    "server_error",
    "unauthorized",
]

_BAD_REQUEST, _UNAUTHORIZED, _NOT_FOUND = 400, 401, 404
_SERVER_ERROR, _BUSY = 500, 503


class ReplyError(PreannotationError):
    """The server answers with an error: a status and a body in JSON, kept as text."""

    code = "simulated_refusal"

    def __init__(self, status: int, body: str) -> None:
        """Keep the reply."""
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body

    def __reduce__(self) -> tuple[type["ReplyError"], tuple[int, str]]:
        """Pickle by the arguments of this class."""
        return (ReplyError, (self.status, self.body))


class EngineDeadError(PreannotationError):
    """The engine has died: 500 for all that is in flight."""

    code = "simulated_death"
    status = _SERVER_ERROR
    text = "EngineCore encountered an issue. See stack trace (above) for the root cause."

    def __init__(self) -> None:
        """Take the one text there is."""
        super().__init__(self.text)

    def __reduce__(self) -> tuple[type["EngineDeadError"], tuple[()]]:
        """Pickle by the arguments of this class."""
        return (EngineDeadError, ())


class QueueFullError(PreannotationError):
    """vLLM's --max-num-queued-reqs is reached: 503 without Retry-After."""

    code = "simulated_queue_full"
    status = _BUSY
    text = "The engine is currently busy with too many queued requests. Please try again later."

    def __init__(self) -> None:
        """Take the one text there is."""
        super().__init__(self.text)

    def __reduce__(self) -> tuple[type["QueueFullError"], tuple[()]]:
        """Pickle by the arguments of this class."""
        return (QueueFullError, ())


def error_body(
    flavour: Flavour, status: int, message: str, kind: str, parameter: str | None = None
) -> JsonObject:
    """The error object of a flavour; llama.cpp names no parameter."""
    if flavour is Flavour.VLLM:
        return {"error": {"message": message, "type": kind, "param": parameter, "code": status}}
    return {"error": {"code": status, "message": message, "type": kind}}


def bad_request(flavour: Flavour, message: str, parameter: str | None = None) -> ReplyError:
    """400 for a body that cannot be."""
    if flavour is Flavour.VLLM:
        return _reply(_BAD_REQUEST, error_body(flavour, _BAD_REQUEST, message, "BadRequestError", parameter))
    return _reply(_BAD_REQUEST, error_body(flavour, _BAD_REQUEST, message, "invalid_request_error"))


def malformed_body(flavour: Flavour) -> ReplyError:
    """The body is no JSON: vLLM 400, llama.cpp 500."""
    if flavour is Flavour.VLLM:
        return bad_request(flavour, "1 validation error: json_invalid, JSON decode error")
    message = "[json.exception.parse_error.101] parse error: syntax error while parsing value"
    return _reply(_SERVER_ERROR, error_body(flavour, _SERVER_ERROR, message, "server_error"))


def grammar_refused(flavour: Flavour, reason: str) -> ReplyError:
    """400: no grammar is made of the schema; ``reason`` names the keyword."""
    if flavour is Flavour.VLLM:
        return bad_request(flavour, f"Grammar error: {reason}")
    return bad_request(flavour, reason)


def model_not_found(name: str) -> ReplyError:
    """404 of vLLM for a name that is not served."""
    message = f"The model `{name}` does not exist."
    return _reply(_NOT_FOUND, error_body(Flavour.VLLM, _NOT_FOUND, message, "NotFoundError", "model"))


def prompt_too_long(flavour: Flavour, prompt_tokens: int, window: int) -> ReplyError:
    """400: the prompt alone has more tokens than the window."""
    if flavour is Flavour.VLLM:
        message = (
            f"This model's maximum context length is {window} tokens. However, your request has "
            f"{prompt_tokens} input tokens. Please reduce the length of the input messages."
        )
        return bad_request(flavour, message, "input_tokens")
    message = (
        f"request ({prompt_tokens} tokens) exceeds the available context size ({window} tokens), "
        "try increasing it"
    )
    error: JsonObject = {
        "code": _BAD_REQUEST,
        "message": message,
        "type": "exceed_context_size_error",
        "n_prompt_tokens": prompt_tokens,
        "n_ctx": window,
    }
    return _reply(_BAD_REQUEST, {"error": error})


def server_error(flavour: Flavour, message: str) -> ReplyError:
    """500 for a request that failed while it was answered."""
    kind = "InternalServerError" if flavour is Flavour.VLLM else "server_error"
    return _reply(_SERVER_ERROR, error_body(flavour, _SERVER_ERROR, message, kind))


def unauthorized(flavour: Flavour) -> ReplyError:
    """401: no key or a wrong one; the body of vLLM is a string and no object."""
    if flavour is Flavour.VLLM:
        return _reply(_UNAUTHORIZED, {"error": "Unauthorized"})
    return _reply(
        _UNAUTHORIZED, error_body(flavour, _UNAUTHORIZED, "Invalid API Key", "authentication_error")
    )


def _reply(status: int, body: JsonObject) -> ReplyError:
    return ReplyError(status, json.dumps(body))
