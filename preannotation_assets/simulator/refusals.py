"""The ways Ollama refuses a request, with their statuses and exact texts.

Texts are those of Ollama 0.33 (api/types.go, server/routes.go, server/sched.go, llm/llama_server.go).
"""

import json

from preannotation_assets.errors import PreannotationError

__all__ = [
    "GenerationBrokenError",
    "RefusedError",
    "RunnerStoppedError",
    "cloud_disabled",
    "context_exceeded",
    "load_failed",
    "model_not_found",
    "prompt_too_long",
    "schema_refused",
    "server_busy",
]

_BAD_REQUEST = 400


class RefusedError(PreannotationError):
    """The server answers with an error: ``status`` and the text of the ``error`` field."""

    code = "simulated_refusal"

    def __init__(self, status: int, text: str) -> None:
        """Keep the reply: its status and error text."""
        super().__init__(text)
        self.status = status
        self.text = text

    def __reduce__(self) -> tuple[type["RefusedError"], tuple[int, str]]:
        """Pickle by the arguments of this class."""
        return (RefusedError, (self.status, self.text))


class RunnerStoppedError(PreannotationError):
    """The runner died under a request that has no token yet: 500."""

    code = "simulated_crash"
    status = 500
    text = (
        "model runner has unexpectedly stopped, this may be due to resource limitations or an internal "
        "error, check ollama server logs for details"
    )

    def __init__(self) -> None:
        """Take the one text there is."""
        super().__init__(self.text)

    def __reduce__(self) -> tuple[type["RunnerStoppedError"], tuple[()]]:
        """Pickle by the arguments of this class."""
        return (RunnerStoppedError, ())


class GenerationBrokenError(PreannotationError):
    """The runner failed after the first token: 500, or a last line under a 200 that has begun."""

    code = "simulated_break"
    status = 500
    text = "an error was encountered while running the model: unexpected EOF"

    def __init__(self) -> None:
        """Take the one text there is."""
        super().__init__(self.text)

    def __reduce__(self) -> tuple[type["GenerationBrokenError"], tuple[()]]:
        """Pickle by the arguments of this class."""
        return (GenerationBrokenError, ())


def model_not_found(name: str) -> RefusedError:
    """404: the model is not in the list."""
    return RefusedError(404, f"model '{name}' not found")


def cloud_disabled(operation: str) -> RefusedError:
    """403: the model is on ollama.com, and OLLAMA_NO_CLOUD is set; ``operation`` is what cannot be done."""
    return RefusedError(403, f"ollama cloud is disabled: {operation}")


def server_busy() -> RefusedError:
    """503: the queue is full while a load is pending."""
    return RefusedError(503, "server busy, please try again.  maximum pending requests exceeded")


def load_failed() -> RefusedError:
    """500: the runner ended before it was ready."""
    return RefusedError(500, "llama-server process has terminated: exit status 1")


def context_exceeded(prompt_tokens: int, context: int) -> RefusedError:
    """400: ``truncate`` is false and the prompt has more tokens than fit; both are token counts."""
    return _runner_refusal(
        {
            "code": _BAD_REQUEST,
            "message": f"request ({prompt_tokens} tokens) exceeds the available context size "
            f"({context} tokens), try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": prompt_tokens,
            "n_ctx": context,
        }
    )


def prompt_too_long() -> RefusedError:
    """400: ``truncate`` is true, but the last message alone is too long and ``shift`` is off."""
    return RefusedError(
        _BAD_REQUEST,
        "the prompt is longer than the context length currently available to the model; shorten the prompt, "
        "adjust the context length in settings, or use a model with a longer context length",
    )


def schema_refused(reason: str) -> RefusedError:
    """400: the runner makes no grammar of the schema; ``reason`` names the keyword."""
    return _runner_refusal(
        {
            "code": _BAD_REQUEST,
            "message": f"failed to parse grammar: {reason}",
            "type": "invalid_request_error",
        }
    )


def _runner_refusal(error: dict[str, str | int]) -> RefusedError:
    return RefusedError(_BAD_REQUEST, json.dumps({"error": error}))
