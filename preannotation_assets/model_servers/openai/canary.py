"""Finds out with tiny requests in which form a server keeps to a schema. Pure.

Fields that a server does not know are ignored under status 200, so only an answer shows whether it was kept
to: the schema allows one object that no model would write by itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from preannotation_assets.errors import AccessDeniedError, EndpointError, InferenceError
from preannotation_assets.extraction.prompt import Message
from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.json_values import as_name, load_object
from preannotation_assets.model_servers.openai.errors import judge_error
from preannotation_assets.model_servers.openai.replies import parse_reply, thought_instead
from preannotation_assets.model_servers.openai.requests import completion_body
from preannotation_assets.model_servers.openai.variant import SchemaForm, Software, Variant
from preannotation_assets.model_servers.outcomes import Stop
from preannotation_assets.model_servers.server import Fetch
from preannotation_assets.model_servers.statuses import BAD_REQUEST
from preannotation_assets.model_servers.template import ModelOptions

__all__ = ["CHAT_PATH", "CanaryReply", "find_form"]

CHAT_PATH: Final = "/v1/chat/completions"

_OK: Final = 200
_REFUSED_FIELDS: Final = frozenset({BAD_REQUEST, 422})
_MESSAGES: Final = (Message("user", "Is the sea salty? Answer with one word."),)
_ANSWER: Final = {"tide_k7": "vq-5521"}
_SCHEMA: Final[Mapping[str, object]] = {
    "type": "object",
    "properties": {key: {"enum": [value]} for key, value in _ANSWER.items()},
    "required": list(_ANSWER),
    "additionalProperties": False,
}
# Some 12 tokens, and room for blanks between them, which vLLM's grammar allows without end.
_OPTIONS: Final = ModelOptions(context_tokens=512, answer_tokens=64)
_COMPACT: Final = json.dumps(_ANSWER, separators=(",", ":"))
_FEWEST_CHARACTERS: Final = 4


@dataclass(frozen=True, slots=True)
class CanaryReply:
    """The reply that kept to the schema.

    ``is_compact`` says that no blank is in it. ``tells_cached_tokens`` and ``fingerprint`` are what else it
    tells of the server.
    """

    variant: Variant
    is_compact: bool
    tells_cached_tokens: bool
    fingerprint: str


def find_form(endpoint: str, model: str, software: Software, fetch: Fetch) -> CanaryReply:
    """Asks in one form after the other until an answer keeps to the schema.

    Raises:
        EndpointError: the server keeps to it in no form, thinks before it answers, or cannot answer.
        AccessDeniedError: it wants a key, or a login page stands before it.
        ModelError: it does not know the model.
    """
    refusals: set[int] = set()
    for form in SchemaForm:
        variant = Variant(software, form)
        body = completion_body(model, _MESSAGES, _OPTIONS, _SCHEMA, variant)
        exchange = fetch(HttpRequest("POST", CHAT_PATH, body))
        if exchange.status in _REFUSED_FIELDS:
            # A server may refuse a form that it does not know.
            refusals.add(exchange.status)
            continue
        payload = _require_reply(exchange, model)
        if thought_instead(payload):
            raise EndpointError(
                f"{endpoint} lets {model} think before it answers, with thinking switched off in the request",
                "start the server with thinking off for this model, or choose another model",
            )
        found = _read(payload, model, variant)
        if found:
            return found
    told = f" (refused with status {', '.join(map(str, sorted(refusals)))})" if refusals else ""
    raise EndpointError(
        f"{endpoint} keeps to a JSON schema in none of {len(SchemaForm)} forms{told}",
        "ask vLLM, llama-server or SGLang themselves, or have the gateway pass response_format on",
    )


def _read(payload: Mapping[str, object], model: str, variant: Variant) -> CanaryReply | None:
    reply = parse_reply(payload, variant)
    if reply is None or not _keeps_to_schema(reply.content, cut_off=reply.done_reason == "length"):
        return None
    name = as_name(payload.get("model")) or model
    return CanaryReply(
        Variant(variant.software, variant.form, "" if name == model else name),
        is_compact=reply.content == _COMPACT,
        tells_cached_tokens=reply.cached_tokens is not None,
        fingerprint=as_name(payload.get("system_fingerprint")) or "",
    )


def _keeps_to_schema(content: str, *, cut_off: bool) -> bool:
    """Whether an answer is the only one allowed; of one that blanks have filled a beginning is enough."""
    without_blanks = "".join(content.split())
    if cut_off and len(without_blanks) >= _FEWEST_CHARACTERS:
        return _COMPACT.startswith(without_blanks)
    return without_blanks == _COMPACT


def _require_reply(exchange: Exchange, model: str) -> dict[str, object]:
    payload = load_object(exchange.content) if exchange.status == _OK else None
    if payload is not None and "error" not in payload:
        return payload
    raise _refusal(exchange, model)


def _refusal(exchange: Exchange, model: str) -> InferenceError:
    outcome = judge_error(exchange.endpoint, model, exchange.status, exchange.headers or {}, exchange.content)
    if isinstance(outcome, Stop) and (exchange.status != _OK or isinstance(outcome.error, AccessDeniedError)):
        return outcome.error
    return EndpointError(
        f"{exchange.endpoint} answers a small request with status {exchange.status} and no completion",
        "look at the server's log",
    )
