"""OpenAI-compatible servers as a kind of model server."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

from preannotation_assets.errors import ModelError
from preannotation_assets.model_servers.access import access_headers, key_headers
from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.json_values import as_mapping, as_name, load_object
from preannotation_assets.model_servers.openai.canary import CHAT_PATH
from preannotation_assets.model_servers.openai.errors import judge_error, judge_error_object
from preannotation_assets.model_servers.openai.identity import identify_endpoint
from preannotation_assets.model_servers.openai.lengths import has_too_long_quote
from preannotation_assets.model_servers.openai.load import LOAD_PATH, read_server_load
from preannotation_assets.model_servers.openai.models_list import MODELS_PATH, find_model
from preannotation_assets.model_servers.openai.replies import (
    BrokenStreamError,
    event_delta,
    join_events,
    parse_reply,
)
from preannotation_assets.model_servers.openai.requests import LIMIT_FIELD, chat_body, warm_up_body
from preannotation_assets.model_servers.openai.variant import Software, Variant
from preannotation_assets.model_servers.outcomes import (
    Answered,
    Outcome,
    Reason,
    Stop,
    TooLong,
    Unavailable,
    Unusable,
    judge_reply,
)
from preannotation_assets.model_servers.schema_lint import lint_answer_schema
from preannotation_assets.model_servers.server import EndpointIdentity, Fetch, ServerLoad
from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.visible_text import plain_name

__all__ = ["OpenAIServer"]

_OK: Final = 200
_EVENTS: Final = "text/event-stream"
_UNKNOWN: Final = Variant()


@dataclass(frozen=True, slots=True)
class OpenAIServer:
    """vLLM, llama.cpp's server and others that speak OpenAI's chat completions with a JSON schema.

    ``revision`` is the operator's name for the weights, empty where nobody gave one. ``variant`` is how the
    servers are asked, as the preflight found out.
    """

    revision: str = ""
    variant: Variant = _UNKNOWN
    kind: str = "OpenAI API"
    provider: str = "openai"
    cure: str = "start the server there, or set PREANNOTATION_SERVER_URLS"

    def cure_missing(self, model: str) -> str:  # noqa: ARG002
        """The operator has to load the weights."""
        return (
            "serve the same weights under this name on each, or name them with PREANNOTATION_SERVER_REVISION"
        )

    def headers_for(self, endpoint: str, environment: Mapping[str, str]) -> dict[str, str]:
        """The key as a bearer token, where there is one, and the headers of Cloudflare Access.

        Raises:
            SettingsError: one of them has characters that no header can carry.
        """
        return key_headers(endpoint, environment) | access_headers(endpoint, environment)

    def chat_request(
        self, template: RequestTemplate, text: str, *, stream: bool, variation: int = 0
    ) -> HttpRequest:
        """A request to ``/v1/chat/completions``."""
        body = chat_body(template, text, self.variant, stream=stream, variation=variation)
        return HttpRequest("POST", CHAT_PATH, body)

    def read(self, exchange: Exchange, model: str) -> Outcome:
        """What an exchange means. For a reply it costs a millisecond: give the permit back before."""
        if exchange.lost is not None:
            return Unavailable(exchange.lost)
        if not exchange.is_reply:
            headers = exchange.headers or {}
            return judge_error(exchange.endpoint, model, exchange.status, headers, exchange.content)
        if exchange.content_type != _EVENTS:
            return self._judge(exchange, load_object(exchange.content), model)
        try:
            joined = join_events(exchange.content)
        except BrokenStreamError:
            return Unavailable(Reason.SERVER_ERROR)
        if exchange.given_up:
            return Unusable(Reason.ENDLESS_ANSWER, parse_reply(joined, self.variant))
        outcome = self._judge(exchange, joined, model)
        # [DONE] comes behind a broken stream too: what has no finish_reason has not ended.
        is_broken = isinstance(outcome, Unusable) and outcome.reply is not None and not outcome.reply.done
        return Unavailable(Reason.CONNECTION_LOST) if is_broken else outcome

    def stream_delta(self, line: bytes) -> str:
        """The content in the chunk of an event."""
        return event_delta(line)

    def _judge(self, exchange: Exchange, payload: Mapping[str, object] | None, model: str) -> Outcome:
        """What a completion means, whole or joined."""
        if payload is None:
            return Unusable(Reason.INVALID_ANSWER)
        if payload.get("error"):
            return judge_error_object(payload["error"])
        answering = as_name(payload.get("model"))
        if answering and model and answering not in {model, self.variant.answers_as}:
            return Stop(
                ModelError(
                    f"{exchange.endpoint} answers as {plain_name(answering) or 'another'} and not as {model}",
                    "run again; the server was started with another model, or passes requests on to others",
                )
            )
        outcome = judge_reply(parse_reply(payload, self.variant))
        if isinstance(outcome, TooLong) and outcome.reply and _was_cut_by_context(exchange, outcome):
            return TooLong(Reason.CONTEXT_EXCEEDED, outcome.reply)
        if isinstance(outcome, Answered) and has_too_long_quote(outcome.reply.content):
            return Unusable(Reason.INVALID_ANSWER, outcome.reply)
        return outcome

    def check_model_name(self, model: str) -> None:
        """Every name is good: the addresses in the settings say where pages go."""

    def identify(self, endpoint: str, model: str, fetch: Fetch) -> EndpointIdentity:
        """The server's software and version, the weights as far as it names them, and how it is asked.

        Raises:
            EndpointError: it cannot be reached, is of another kind, or keeps to no JSON schema.
            AccessDeniedError: it wants a key, or a login page or a refusal stands before it.
            ModelError: the model is missing, or the server's name for the weights is not the configured one.
        """
        return identify_endpoint(endpoint, model, self.revision, fetch)

    def for_variant(self, variant: str) -> Self:
        """The same for servers that are asked in another form, or read in another way."""
        return replace(self, variant=Variant.parse(variant))

    def digest_request(self, model: str) -> HttpRequest:  # noqa: ARG002
        """The list of models."""
        return HttpRequest("GET", MODELS_PATH)

    def read_digest(self, exchange: Exchange, model: str) -> str | None:
        """The digest of what names the weights by now; None where the list is none or lacks the model."""
        payload = load_object(exchange.content) if exchange.status == _OK else None
        served = find_model(payload, model) if payload else None
        return served.digest(model, self.revision) if served else None

    def preload_request(self, template: RequestTemplate) -> HttpRequest | None:  # noqa: ARG002
        """None: the model is loaded when the server starts."""
        return None

    def loaded_request(self) -> HttpRequest | None:
        """None: it was not loaded for these requests."""
        return None

    def check_loaded(self, exchange: Exchange, template: RequestTemplate) -> None:
        """Nothing."""

    @property
    def warms_each_slot(self) -> bool:
        """Whether it is llama.cpp's server, which keeps what it has read by slot."""
        return self.variant.software is Software.LLAMA_CPP

    def warm_up_request(self, template: RequestTemplate) -> HttpRequest | None:
        """The constant messages and one token."""
        return HttpRequest("POST", CHAT_PATH, warm_up_body(template, self.variant))

    def probe_request(self, template: RequestTemplate, *, stream: bool) -> HttpRequest:
        """The same request as about a page, without one and for a single token."""
        body = chat_body(template, "", self.variant, stream=stream)
        return HttpRequest("POST", CHAT_PATH, {**body, LIMIT_FIELD: 1})

    def load_request(self) -> HttpRequest | None:
        """The metrics of vLLM, llama.cpp's server and SGLang."""
        return HttpRequest("GET", LOAD_PATH)

    def read_load(self, exchange: Exchange) -> ServerLoad | None:
        """How busy it is, by its metrics; None where it has none."""
        return read_server_load(exchange)

    def lint_schema(self, schema: Mapping[str, object]) -> list[str]:
        """What of a schema one of these servers would ignore, refuse or reorder."""
        return lint_answer_schema(schema)


def _was_cut_by_context(exchange: Exchange, outcome: TooLong) -> bool:
    """Whether fewer tokens were given than asked for.

    vLLM and llama-server lower the limit without a word where prompt and answer do not fit the context.
    """
    body = as_mapping(exchange.request.body if exchange.request else None)
    asked, given = body.get(LIMIT_FIELD), outcome.reply.answer_tokens if outcome.reply else None
    return isinstance(asked, int) and given is not None and given < asked
