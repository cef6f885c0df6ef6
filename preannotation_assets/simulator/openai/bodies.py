"""Bodies of ``/v1/chat/completions``, checked and typed; unknown fields are ignored, ``guided_json`` too."""

import json
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from preannotation_assets.simulator.openai.refusals import bad_request, malformed_body
from preannotation_assets.simulator.openai.settings import Flavour, OpenAiSettings
from preannotation_assets.simulator.requests import Message
from preannotation_assets.simulator.values import JsonObject, JsonValue

__all__ = ["AnswerForm", "ChatRequest", "parse_chat", "parse_json"]

_MOST_TOP_LOGPROBS = 20
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


class AnswerForm(Enum):
    """What the answer must be."""

    TEXT = auto()
    JSON_OBJECT = auto()
    SCHEMA = auto()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked request for an answer.

    ``schema`` is there for ``AnswerForm.SCHEMA`` only. ``most_tokens`` is None where the request does not
    limit the answer. ``top_logprobs`` counts the alternatives of each token.
    """

    model: str
    messages: tuple[Message, ...]
    form: AnswerForm
    schema: JsonObject | None
    is_stream: bool
    has_usage: bool
    most_tokens: int | None
    temperature: float
    seed: int | None
    has_logprobs: bool
    top_logprobs: int
    cache_salt: str
    truncate_prompt_tokens: int | None
    returns_token_ids: bool


class _Body(BaseModel):
    """The fields that matter, as vLLM types them."""

    model_config = ConfigDict(extra="ignore")

    model: str | None = None
    messages: list[dict[str, Any]]
    stream: bool | None = False
    stream_options: dict[str, Any] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    min_p: float | None = None
    logit_bias: dict[str, float] | None = None
    seed: int | None = None
    n: int | None = 1
    logprobs: bool | None = False
    top_logprobs: int | None = 0
    response_format: dict[str, Any] | None = None
    structured_outputs: dict[str, Any] | None = None
    json_schema: dict[str, Any] | None = Field(default=None)
    cache_salt: str | None = None
    truncate_prompt_tokens: int | None = None
    return_token_ids: bool | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None


def parse_json(body: bytes, flavour: Flavour) -> JsonObject:
    """The JSON object of a body; raises ``ReplyError``, 400 or 500 by flavour, where there is none."""
    try:
        value = json.loads(body)
    except ValueError:
        raise malformed_body(flavour) from None
    if not isinstance(value, dict):
        raise bad_request(flavour, "the request body is not a JSON object")
    return value


def parse_chat(body: JsonObject, settings: OpenAiSettings) -> ChatRequest:
    """Check a body as the flavour does; raises ``ReplyError`` (400)."""
    if settings.flavour is Flavour.VLLM:
        read = _strict_body(body)
        _check_ranges(read, settings)
    else:
        read = _lenient_body(body)
    form, schema = _answer_form(read, settings.flavour)
    most = read.max_completion_tokens if read.max_completion_tokens is not None else read.max_tokens
    return ChatRequest(
        model=read.model or "",
        messages=tuple(_message(message, settings.flavour) for message in read.messages),
        form=form,
        schema=schema,
        is_stream=bool(read.stream),
        has_usage=(read.stream_options or {}).get("include_usage") is True,
        most_tokens=_most_tokens(most, settings.flavour),
        temperature=0.8 if read.temperature is None else read.temperature,
        seed=read.seed,
        has_logprobs=bool(read.logprobs),
        top_logprobs=read.top_logprobs or 0,
        cache_salt=read.cache_salt or "",
        truncate_prompt_tokens=read.truncate_prompt_tokens if settings.flavour is Flavour.VLLM else None,
        returns_token_ids=bool(read.return_token_ids) and settings.flavour is Flavour.VLLM,
    )


def _strict_body(body: JsonObject) -> _Body:
    try:
        return _Body.model_validate(body)
    except ValidationError as invalid:
        places = ", ".join(".".join(map(str, error["loc"])) for error in invalid.errors())
        count = invalid.error_count()
        raise bad_request(Flavour.VLLM, f"{count} validation error(s) at: {places}", places) from None


def _lenient_body(body: JsonObject) -> _Body:
    """As llama.cpp reads: a field of the wrong type counts as not given, but messages must be a list."""
    if not isinstance(body.get("messages"), list):
        raise bad_request(Flavour.LLAMA, "Expected 'messages' to be an array")
    try:
        return _Body.model_validate(body)
    except ValidationError as invalid:
        wrong = {error["loc"][0] for error in invalid.errors()}
    if "messages" in wrong:
        raise bad_request(Flavour.LLAMA, "Expected 'message' to be an object")
    return _Body.model_validate({name: value for name, value in body.items() if name not in wrong})


def _check_ranges(body: _Body, settings: OpenAiSettings) -> None:
    most = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
    top = body.top_logprobs or 0
    wrong = {
        "messages": not body.messages,
        "temperature": body.temperature is not None and body.temperature < 0,
        "top_p": body.top_p is not None and not 0 < body.top_p <= 1,
        "max_tokens": most is not None and most < 1,
        "n": body.n not in (None, 1),
        "top_logprobs": not 0 <= top <= _MOST_TOP_LOGPROBS or (top > 0 and not body.logprobs),
        "reasoning_effort": body.reasoning_effort not in (None, *_EFFORTS),
        "min_p": settings.speculates and bool(body.min_p),
        "logit_bias": settings.speculates and bool(body.logit_bias),
        "structured_outputs": bool(body.structured_outputs) and bool(_kind_of(body.response_format)),
    }
    for name, is_wrong in wrong.items():
        if is_wrong:
            raise bad_request(Flavour.VLLM, f"{name} has a value that is not supported", name)


def _kind_of(response_format: dict[str, Any] | None) -> str:
    """The kind of answer that is asked for; empty for text."""
    kind = (response_format or {}).get("type", "text")
    return "" if kind == "text" else str(kind)


def _answer_form(body: _Body, flavour: Flavour) -> tuple[AnswerForm, JsonObject | None]:
    kind = _kind_of(body.response_format)
    if flavour is Flavour.VLLM:
        return _vllm_form(kind, body)
    schema = body.json_schema
    if kind == "json_schema":
        schema = ((body.response_format or {}).get("json_schema") or {}).get("schema")
    elif kind == "json_object":
        schema = (body.response_format or {}).get("schema")
    elif kind:
        raise bad_request(flavour, f'response_format type must be one of "text" or "json_object", got {kind}')
    return (AnswerForm.SCHEMA, schema) if isinstance(schema, dict) else (AnswerForm.TEXT, None)


def _vllm_form(kind: str, body: _Body) -> tuple[AnswerForm, JsonObject | None]:
    if body.structured_outputs:
        schema = body.structured_outputs.get("json")
        if schema is None:
            raise bad_request(Flavour.VLLM, "the stand-in knows structured_outputs.json only")
        return AnswerForm.SCHEMA, _vllm_schema(schema)
    if kind == "json_schema":
        described = (body.response_format or {}).get("json_schema")
        if not isinstance(described, dict) or not isinstance(described.get("name"), str):
            raise bad_request(
                Flavour.VLLM, "1 validation error: json_schema.name is required", "response_format"
            )
        return AnswerForm.SCHEMA, _vllm_schema(described.get("schema"))
    if kind == "json_object":
        return AnswerForm.JSON_OBJECT, None
    if kind:
        raise bad_request(Flavour.VLLM, f"response_format type {kind} is not supported", "response_format")
    return AnswerForm.TEXT, None


def _vllm_schema(schema: JsonValue) -> JsonObject:
    if isinstance(schema, str):
        return _vllm_schema(parse_json(schema.encode("utf-8", "replace"), Flavour.VLLM))
    if not isinstance(schema, dict):
        raise bad_request(Flavour.VLLM, "the JSON schema is not an object", "response_format")
    return schema


def _message(message: dict[str, Any], flavour: Flavour) -> Message:
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str):
        raise bad_request(flavour, "a message without a role", "messages")
    return Message(role, _text_of(content))


def _text_of(content: JsonValue) -> str:
    """The text of a message's content: a string, or the parts of it that are text."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _most_tokens(most: int | None, flavour: Flavour) -> int | None:
    """llama.cpp: 0 makes one token, a negative number no limit."""
    if flavour is Flavour.VLLM or most is None:
        return most
    return None if most < 0 else max(most, 1)
