"""What an OpenAI-compatible server tells of itself before the first request. Pure, but for ``fetch``."""

from collections.abc import Mapping
from typing import Final

from preannotation_assets.errors import AccessDeniedError, EndpointError, ModelError
from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.json_values import as_count, as_mapping, as_name, load_object
from preannotation_assets.model_servers.openai.canary import CanaryReply, find_form
from preannotation_assets.model_servers.openai.errors import judge_error
from preannotation_assets.model_servers.openai.hints import canary_hints, metrics_hints, slots_hints
from preannotation_assets.model_servers.openai.load import LOAD_PATH
from preannotation_assets.model_servers.openai.models_list import (
    MODELS_PATH,
    ServedModel,
    find_model,
    served_names,
)
from preannotation_assets.model_servers.openai.variant import Software
from preannotation_assets.model_servers.outcomes import Stop
from preannotation_assets.model_servers.server import EndpointIdentity, Fetch
from preannotation_assets.visible_text import plain_name

__all__ = ["identify_endpoint"]

_OK: Final = 200
_MOST_NAMES: Final = 5
_LONGEST: Final = 60


def identify_endpoint(endpoint: str, model: str, revision: str, fetch: Fetch) -> EndpointIdentity:
    """Which server, which weights, how it is asked, and what its operator should know.

    Raises:
        EndpointError: it cannot be reached, is of another kind, or keeps to no JSON schema.
        AccessDeniedError: it wants a key, or a login page or a refusal stands before it.
        ModelError: the model is missing, or its name for the weights is not ``revision``.
    """
    served = _served_model(endpoint, model, fetch)
    if served.contradicts(revision):
        named = ", ".join(filter(None, map(plain_name, served.pinned)))
        raise ModelError(
            f"{endpoint} names the weights of {model} {named or 'otherwise'}, not {revision}",
            "correct PREANNOTATION_SERVER_REVISION, or load these weights",
        )
    canary = find_form(endpoint, model, served.software, fetch)
    properties = _optional(fetch, "/props") if served.software is Software.LLAMA_CPP else {}
    return EndpointIdentity(
        version=_version(served.software, canary, properties, fetch),
        digest=served.digest(model, revision),
        context_tokens=_context_tokens(served, properties),
        variant=str(canary.variant),
        notes=(*_notes(model, revision, served, canary, fetch), *slots_hints(properties)),
    )


def _served_model(endpoint: str, model: str, fetch: Fetch) -> ServedModel:
    exchange = fetch(HttpRequest("GET", MODELS_PATH))
    payload = load_object(exchange.content) if exchange.status == _OK else None
    if payload is None or "data" not in payload:
        raise _no_list(exchange)
    served = find_model(payload, model)
    if served is None:
        names = ", ".join(filter(None, map(plain_name, served_names(payload)[:_MOST_NAMES])))
        raise ModelError(
            f"{endpoint} has no model {model}", f"set PREANNOTATION_MODEL; it has {names or 'none'}"
        )
    return served


def _no_list(exchange: Exchange) -> Exception:
    headers = exchange.headers or {}
    outcome = judge_error(exchange.endpoint, "", exchange.status, headers, exchange.content)
    if not exchange.is_reply and isinstance(outcome, Stop) and isinstance(outcome.error, AccessDeniedError):
        return outcome.error
    return EndpointError(
        f"{exchange.endpoint} answers {MODELS_PATH} with status {exchange.status} and no list of models",
        "is it an OpenAI-compatible server, and has it loaded its model?",
    )


def _version(software: Software, canary: CanaryReply, properties: Mapping[str, object], fetch: Fetch) -> str:
    """The software and its version; what it calls itself in replies where it tells none."""
    told: str | None = None
    if software is Software.VLLM:
        told = as_name(_optional(fetch, "/version").get("version"))
    elif software is Software.LLAMA_CPP:
        told = as_name(properties.get("build_info"))
    elif software is Software.SGLANG:
        told = as_name(_optional(fetch, "/server_info").get("version"))
    return f"{software} {(plain_name(told or canary.fingerprint) or '')[:_LONGEST]}".strip()


def _context_tokens(served: ServedModel, properties: Mapping[str, object]) -> int | None:
    """Of a request: llama-server divides its context by its slots."""
    of_a_slot = as_count(as_mapping(properties.get("default_generation_settings")).get("n_ctx"))
    return of_a_slot or served.context_tokens


def _notes(model: str, revision: str, served: ServedModel, canary: CanaryReply, fetch: Fetch) -> list[str]:
    notes: list[str] = []
    if not served.names_weights(revision):
        notes.append(
            f"the server does not tell which weights {model} are, so other ones under this name would go"
            " unnoticed; name them with PREANNOTATION_SERVER_REVISION, a small model's with"
            " PREANNOTATION_CASCADE_REVISION"
        )
    if canary.variant.answers_as:
        name = plain_name(canary.variant.answers_as) or "another"
        notes.append(f"asked for {model}, the server answers as {name}")
    if served.software is Software.VLLM:
        notes += metrics_hints(_optional_content(fetch, LOAD_PATH))
        notes += canary_hints(canary)
    return notes


def _optional(fetch: Fetch, path: str) -> Mapping[str, object]:
    """What a path tells, empty where the server does not have it or does not show it."""
    return load_object(_optional_content(fetch, path)) or {}


def _optional_content(fetch: Fetch, path: str) -> bytes:
    """The content of a path, empty also where the server is too busy to answer in time."""
    try:
        exchange = fetch(HttpRequest("GET", path))
    except EndpointError:
        return b""
    return exchange.content if exchange.status == _OK else b""
