"""Bodies of ``/api/generate`` and ``/api/chat``, checked and typed.

Error texts are those of Ollama 0.33 where docs/simulator.md does not say otherwise.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from preannotation_assets.simulator.durations import parse_keep_alive
from preannotation_assets.simulator.options import Options, parse_options
from preannotation_assets.simulator.refusals import RefusedError
from preannotation_assets.simulator.values import JsonObject, JsonValue

__all__ = ["Endpoint", "GenerationRequest", "Message", "RequestDefaults", "parse_body", "parse_request"]

_TOP_LOGPROBS_LIMIT = 20
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Endpoint(StrEnum):
    """The two ways to ask for an answer."""

    GENERATE = "generate"
    CHAT = "chat"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class RequestDefaults:
    """What a request gets that does not say: context in tokens, keep_alive in seconds."""

    context: int
    keep_alive: float
    obeys_truncate: bool


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A checked request for an answer.

    ``schema`` is the JSON schema of ``format``, None without one; ``wants_json`` is true for
    ``"json"`` and for a schema. ``thinks`` is None where the request does not say. ``keep_alive`` is in
    seconds, infinity for ever.
    """

    endpoint: Endpoint
    model: str
    messages: tuple[Message, ...]
    is_raw: bool
    is_stream: bool
    schema: JsonObject | None
    wants_json: bool
    keep_alive: float
    options: Options
    thinks: bool | None
    truncate: bool
    shift: bool
    logprobs: bool
    top_logprobs: int

    def within(self, trained_context: int) -> "GenerationRequest":
        """The same for a model that was trained for ``trained_context`` tokens."""
        return replace(self, options=self.options.within(trained_context))

    @property
    def is_load_only(self) -> bool:
        """Whether there is nothing to answer: the model is only loaded, or unloaded at keep_alive 0."""
        if self.endpoint is Endpoint.CHAT:
            return not self.messages
        return not any(message.content for message in self.messages if message.role == "user")


def parse_body(body: bytes) -> JsonObject:
    """The JSON object in a request's body; raises ``RefusedError`` (400) where there is none."""
    if not body.strip():
        raise RefusedError(400, "missing request body")
    try:
        value = json.loads(body)
    except ValueError:
        raise RefusedError(400, "invalid character in request body: not JSON") from None
    if not isinstance(value, dict):
        raise RefusedError(400, f"json: cannot unmarshal {_go_kind(value)} into Go value of type api.Request")
    return value


def parse_request(endpoint: Endpoint, body: JsonObject, defaults: RequestDefaults) -> GenerationRequest:
    """Check a body and fill in the defaults.

    Raises ``RefusedError``: 400 for a field of the wrong type, a bad ``keep_alive`` or
    ``top_logprobs``, 500 for an option of the wrong type or a ``format`` that is neither ``"json"`` nor
    an object.
    """
    top_logprobs = _integer(body, "top_logprobs")
    if not 0 <= top_logprobs <= _TOP_LOGPROBS_LIMIT:
        raise RefusedError(400, "top_logprobs must be between 0 and 20")
    schema, wants_json = _format(body.get("format"))
    options = parse_options(_object(body, "options"), defaults.context)
    shift = _boolean(body, "shift", True) if defaults.obeys_truncate else True
    return GenerationRequest(
        endpoint=endpoint,
        model=_string(body, "model"),
        messages=_chat_messages(body) if endpoint is Endpoint.CHAT else tuple(_prompt_messages(body)),
        is_raw=_boolean(body, "raw", False),
        is_stream=_boolean(body, "stream", True),
        schema=schema,
        wants_json=wants_json,
        keep_alive=parse_keep_alive(body.get("keep_alive"), defaults.keep_alive),
        options=options,
        thinks=_thinks(body.get("think")),
        truncate=_boolean(body, "truncate", True) if defaults.obeys_truncate else True,
        shift=shift,
        logprobs=_boolean(body, "logprobs", False),
        top_logprobs=top_logprobs,
    )


def _chat_messages(body: JsonObject) -> tuple[Message, ...]:
    messages = body.get("messages")
    if messages is None:
        return ()
    if not isinstance(messages, list):
        raise _wrong_type(messages, "messages", "[]api.Message")
    return tuple(_message(message) for message in messages)


def _message(message: JsonValue) -> Message:
    if not isinstance(message, dict):
        raise _wrong_type(message, "messages", "api.Message")
    return Message(_string(message, "role"), _string(message, "content"))


def _prompt_messages(body: JsonObject) -> Iterable[Message]:
    system, prompt = _string(body, "system"), _string(body, "prompt")
    if system:
        yield Message("system", system)
    yield Message("user", prompt)


def _format(value: JsonValue) -> tuple[JsonObject | None, bool]:
    if value is None or value == "":
        return None, False
    if value == "json":
        return None, True
    if isinstance(value, dict):
        return value, True
    found = json.dumps(value)
    raise RefusedError(500, f'invalid format: {found}; expected "json" or a valid JSON Schema object')


def _thinks(value: JsonValue) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if value in {"high", "medium", "low", "max"}:
        return True
    raise RefusedError(400, 'invalid think value: must be true, false, "high", "medium", "low" or "max"')


def _string(body: JsonObject, name: str) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong_type(value, name, "string")
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)


def _boolean(body: JsonObject, name: str, default: bool) -> bool:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise _wrong_type(value, name, "bool")
    return value


def _integer(body: JsonObject, name: str) -> int:
    value = body.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong_type(value, name, "int")
    return value


def _object(body: JsonObject, name: str) -> JsonObject:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong_type(value, name, "map[string]interface {}")
    return value


def _wrong_type(value: JsonValue, name: str, wanted: str) -> RefusedError:
    kind = _go_kind(value)
    return RefusedError(400, f"json: cannot unmarshal {kind} into Go struct field .{name} of type {wanted}")


def _go_kind(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "number"
