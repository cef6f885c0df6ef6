"""What real servers are asked for the recordings. All texts are made up."""

import json
from dataclasses import dataclass
from typing import Any, Final

from real_model.harbour_pages import SCHEME

from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.label_file import load_label_scheme

__all__ = ["MID_STREAM", "Case", "ollama_cases", "openai_cases"]

Body = dict[str, Any]

MID_STREAM: Final = "broken_stream"
"""The case in which what does the work is killed after the first event."""
_PAGE: Final = "The GREY HERON, Captain T. Lund, arrived at Hamburg on 14 March 1957."
_SHORT: Final = [{"role": "user", "content": "Name a colour."}]
_COLOUR: Final = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "green"]}},
    "required": ["colour"],
    "additionalProperties": False,
}
# What a grammar may cut off or write in another way: quotation mark, backslash, other scripts.
_EXAMPLES: Final = ('"Łódź\\4" № ⚓', '"Ærø\\12" § ⛵', '"Αθήνα\\3" ½ 🚢')
_HARD: Final = '"Åland\\7" № 🚢'
_COPY: Final = [
    {"role": "system", "content": "Copy the text."},
    *(
        message
        for example in _EXAMPLES
        for message in (
            {"role": "user", "content": example},
            {"role": "assistant", "content": json.dumps({"text": example}, ensure_ascii=False)},
        )
    ),
    {"role": "user", "content": _HARD},
]
# Longer than any context that the recordings are made with.
_TOO_LONG: Final = [{"role": "user", "content": "fog " * 9000}]
# The only answer that the preflight's probe allows.
_PROBE: Final = {
    "type": "object",
    "properties": {"tide_k7": {"enum": ["vq-5521"]}},
    "required": ["tide_k7"],
    "additionalProperties": False,
}
# No server's grammar can say it.
_REFUSED_SCHEMA: Final = {
    "type": "object",
    "properties": {"a": {"$ref": "#/$defs/missing"}},
    "required": ["a"],
}


@dataclass(frozen=True)
class Case:
    """A request; ``text`` is sent where ``body`` is None. ``key`` is right, wrong, or not sent at all."""

    name: str
    method: str
    path: str
    body: Body | None = None
    text: str | None = None
    key: str = "right"


def _string_schema(bounds: dict[str, int]) -> Body:
    return {
        "type": "object",
        "properties": {"text": {"type": "string"} | bounds},
        "required": ["text"],
        "additionalProperties": False,
    }


def _messages(page: str) -> list[dict[str, str]]:
    prompt = build_prompt(load_label_scheme(str(SCHEME)))
    return [{"role": message.role, "content": message.content} for message in prompt.messages(page)]


def _answer_schema() -> Body:
    return build_prompt(load_label_scheme(str(SCHEME))).answer_schema


def openai_cases(model: str) -> list[Case]:
    """For servers with ``/v1/chat/completions``."""

    def chat(
        name: str, messages: list[dict[str, str]], schema: Body | None, key: str = "right", **more: Any
    ) -> Case:
        body = {"model": model, "messages": messages, "temperature": 0, "seed": 1, "max_tokens": 256}
        if schema is not None:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": schema, "strict": True},
            }
        return Case(name, "POST", "/v1/chat/completions", body | more, key=key)

    page, schema, scored = _messages(_PAGE), _answer_schema(), {"logprobs": True, "top_logprobs": 1}
    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    return [
        *(Case(path.strip("/").replace("/", "_"), "GET", path) for path in _INFORMATION),
        Case("models_wrong_key", "GET", "/v1/models", key="wrong"),
        chat("chat", page, schema, **scored),
        chat("chat_again", page, schema, **scored),
        chat("chat_stream", page, schema, **scored, **streamed),
        chat("chat_length", page, schema, max_tokens=8, **scored),
        chat("chat_length_stream", page, schema, **scored, **streamed, max_tokens=8),
        chat("chat_short", _SHORT, _COLOUR, **scored),
        chat("probe", _SHORT, _PROBE),
        chat("hard_characters", _COPY, _string_schema({}), **scored),
        chat("hard_characters_bounded", _COPY, _string_schema({"minLength": 1, "maxLength": 200}), **scored),
        chat("prompt_too_long", _TOO_LONG, _COLOUR),
        chat("prompt_too_long_stream", _TOO_LONG, _COLOUR, **streamed),
        chat("unknown_model", _SHORT, _COLOUR, model="no-such-model"),
        chat("unknown_field", _SHORT, _COLOUR, no_such_field=1),
        chat("wrong_key", _SHORT, _COLOUR, key="wrong"),
        chat("no_key", _SHORT, _COLOUR, key="none"),
        chat("refused_schema", _SHORT, _REFUSED_SCHEMA),
        chat("wrong_type", _SHORT, _COLOUR, max_tokens="many"),
        Case("malformed", "POST", "/v1/chat/completions", text='{"model": '),
        Case("unknown_path", "GET", "/v1/no-such-path"),
        chat(MID_STREAM, _SHORT, _long_schema(), **streamed, max_tokens=400),
    ]


_INFORMATION: Final = ("/health", "/v1/models", "/version", "/props", "/slots", "/metrics")


def _long_schema() -> Body:
    return {"type": "array", "minItems": 50, "maxItems": 50, "items": {"enum": ["a long answer"]}}


def ollama_cases(model: str) -> list[Case]:
    """For Ollama's own protocol."""
    options = {"num_ctx": 2048, "num_predict": 256, "temperature": 0, "seed": 1}
    plain = {"think": False, "truncate": False, "shift": False, "keep_alive": "5m", "stream": False}

    def chat(name: str, messages: list[dict[str, str]], schema: object, **more: Any) -> Case:
        body = {"model": model, "messages": messages, **plain, "logprobs": True, "options": options}
        return Case(name, "POST", "/api/chat", body | {"format": schema} | more)

    page, schema = _messages(_PAGE), _answer_schema()
    return [
        Case("root", "GET", "/"),
        Case("version", "GET", "/api/version"),
        Case("tags", "GET", "/api/tags"),
        Case("show", "POST", "/api/show", {"model": model}),
        Case("preload", "POST", "/api/chat", {"model": model, "messages": [], **plain, "options": options}),
        Case("ps", "GET", "/api/ps"),
        chat("chat", page, schema),
        chat("chat_again", page, schema),
        chat("chat_stream", page, schema, stream=True),
        chat("chat_length", page, schema, options=options | {"num_predict": 8}),
        chat("chat_length_stream", page, schema, stream=True, options=options | {"num_predict": 8}),
        chat("chat_short", _SHORT, _COLOUR),
        chat("hard_characters", _COPY, _string_schema({})),
        chat("hard_characters_bounded", _COPY, _string_schema({"minLength": 1, "maxLength": 200})),
        chat("equal_tokens", _SHORT, {"enum": ["0" * 120]}),
        chat("prompt_too_long", _TOO_LONG, _COLOUR),
        chat("prompt_too_long_stream", _TOO_LONG, _COLOUR, stream=True),
        chat("unknown_model", _SHORT, _COLOUR, model="no-such-model"),
        chat("no_model", _SHORT, _COLOUR, model=""),
        chat("malformed_model", _SHORT, _COLOUR, model="a b"),
        chat("thinking", _SHORT, _COLOUR, think=True),
        chat("unknown_option", _SHORT, _COLOUR, options=options | {"no_such_option": 1}),
        chat("wrong_type", _SHORT, _COLOUR, options=options | {"num_predict": "many"}),
        chat("keep_alive_without_unit", _SHORT, _COLOUR, keep_alive="300"),
        chat("refused_schema", _SHORT, _REFUSED_SCHEMA),
        chat("refused_format", _SHORT, 7),
        Case("malformed", "POST", "/api/chat", text='{"model": '),
        Case("wrong_method", "GET", "/api/chat"),
        Case("unknown_path", "GET", "/api/no-such-path"),
        chat(MID_STREAM, _SHORT, _long_schema(), stream=True),
    ]
