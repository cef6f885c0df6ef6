"""Ollama as a kind of model server."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from preannotation_assets.errors import AccessDeniedError, EndpointError, ModelError, SettingsError
from preannotation_assets.model_servers.access import access_headers
from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.json_values import load_object
from preannotation_assets.model_servers.ollama.errors import judge_error, judge_error_line
from preannotation_assets.model_servers.ollama.model_lists import (
    find_model,
    loaded_context,
    read_digest,
    trained_context,
)
from preannotation_assets.model_servers.ollama.wire import (
    chat_body,
    join_stream,
    message_content,
    parse_reply,
    preload_body,
    probe_body,
    warm_up_body,
)
from preannotation_assets.model_servers.outcomes import (
    Outcome,
    Reason,
    Stop,
    Unavailable,
    judge_reply,
)
from preannotation_assets.model_servers.schema_lint import lint_answer_schema
from preannotation_assets.model_servers.server import EndpointIdentity, Fetch, ServerLoad
from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.visible_text import plain_name

__all__ = ["OllamaServer"]

_OLDEST: Final = (0, 12, 6)
_NUMBERS: Final = re.compile(r"[0-9]{1,9}")
_OK: Final = 200
_JSON: Final = "application/json"
_NDJSON: Final = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class OllamaServer:
    """Ollama 0.12.6 or later; ``keep_alive`` is a Go duration: how long a model stays loaded when idle."""

    keep_alive: str = "30m"
    kind: str = "Ollama"
    provider: str = "ollama"
    cure: str = "start Ollama there, or set OLLAMA_HOST"
    warms_each_slot: bool = True

    def cure_missing(self, model: str) -> str:
        """Ollama's command that fetches a model."""
        return f"run ollama pull {model} on each"

    def headers_for(self, endpoint: str, environment: Mapping[str, str]) -> dict[str, str]:
        """Those of Cloudflare Access: Ollama itself has no login.

        Raises:
            SettingsError: one of them has characters that no header can carry.
        """
        return access_headers(endpoint, environment)

    def chat_request(
        self, template: RequestTemplate, text: str, *, stream: bool, variation: int = 0
    ) -> HttpRequest:
        """A request to ``/api/chat``."""
        body = chat_body(template, text, self.keep_alive, stream=stream, variation=variation)
        return HttpRequest("POST", "/api/chat", body)

    def read(self, exchange: Exchange, model: str) -> Outcome:
        """What an exchange means. For a reply it costs a millisecond: give the permit back before."""
        if exchange.lost is not None:
            return Unavailable(exchange.lost)
        if not exchange.is_reply:
            headers = exchange.headers or {}
            return judge_error(exchange.endpoint, model, exchange.status, headers, exchange.content)
        if exchange.content_type == _NDJSON:
            return _judge_stream(exchange.content)
        payload = load_object(exchange.content)
        return judge_reply(parse_reply(payload) if payload is not None else None)

    def stream_delta(self, line: bytes) -> str:
        """The content of the message in a line of NDJSON."""
        return message_content(load_object(line) or {}) or ""

    def check_model_name(self, model: str) -> None:
        """Refuses names that Ollama would send to its own cloud.

        Raises:
            ModelError: the name ends in ``:cloud`` or ``-cloud``.
        """
        if re.search(r"[:-]cloud$", model, re.IGNORECASE):
            raise _cloud_error(model)

    def identify(self, endpoint: str, model: str, fetch: Fetch) -> EndpointIdentity:
        """The version, the manifest's SHA-256 in hexadecimal, and the context the model was trained for.

        Ollama cuts a longer ``num_ctx`` to that without a word.

        Raises:
            EndpointError: it cannot be reached, is no Ollama, or is too old.
            AccessDeniedError: a login page or a refusal stands before it.
            ModelError: the model is missing, has no digest, or is a name for one in Ollama's cloud.
        """
        version = self._read_version(endpoint, fetch)
        exchange = fetch(self.digest_request(model))
        entry = find_model(self._require_object(exchange, "/api/tags"), model)
        if entry is None:
            raise ModelError(f"{endpoint} has no model {model}", f"run ollama pull {model}")
        if entry.get("remote_host") or entry.get("remote_model"):
            raise _cloud_error(model)
        digest = _checked_digest(read_digest(entry), endpoint, model)
        return EndpointIdentity(version, digest, context_tokens=trained_context(entry))

    def for_variant(self, variant: str) -> Self:  # noqa: ARG002
        """The same: all versions are asked alike."""
        return self

    def digest_request(self, model: str) -> HttpRequest:  # noqa: ARG002
        """The list of models."""
        return HttpRequest("GET", "/api/tags")

    def read_digest(self, exchange: Exchange, model: str) -> str | None:
        """The digest that the endpoint has for the model by now; None where it does not say."""
        payload = load_object(exchange.content) if exchange.status == _OK else None
        entry = find_model(payload, model) if payload else None
        return (read_digest(entry) or None) if entry else None

    def preload_request(self, template: RequestTemplate) -> HttpRequest | None:
        """A request without messages, which loads the model with the options of the run."""
        return HttpRequest("POST", "/api/chat", preload_body(template, self.keep_alive))

    def loaded_request(self) -> HttpRequest | None:
        """The list of loaded models."""
        return HttpRequest("GET", "/api/ps")

    def check_loaded(self, exchange: Exchange, template: RequestTemplate) -> None:
        """Makes sure that the model was loaded with the context that was asked for.

        Raises:
            SettingsError: Ollama has cut the context, as ``/api/ps`` says.
        """
        payload = load_object(exchange.content) if exchange.status == _OK else None
        served = loaded_context(payload, template.model, template.digest) if payload else None
        if served is not None and served < template.options.context_tokens:
            raise SettingsError(
                f"num_ctx is {template.options.context_tokens}, but {exchange.endpoint} has loaded"
                f" {template.model} with a context of {served} tokens",
                f"set PREANNOTATION_NUM_CTX={served} or lower",
            )

    def warm_up_request(self, template: RequestTemplate) -> HttpRequest | None:
        """The messages before each page and an answer of one token; None without examples.

        Models with a sliding window reuse what was read up to the end of an earlier prompt only. This one
        ends in the turn of the last example, so it is a beginning of all others.
        """
        body = warm_up_body(template, self.keep_alive)
        return HttpRequest("POST", "/api/chat", body) if body else None

    def probe_request(self, template: RequestTemplate, *, stream: bool) -> HttpRequest:
        """The same request as about a page, without one and for a single token."""
        return HttpRequest("POST", "/api/chat", probe_body(template, self.keep_alive, stream=stream))

    def load_request(self) -> HttpRequest | None:
        """None: each answer tells what it waited."""
        return None

    def read_load(self, exchange: Exchange) -> ServerLoad | None:  # noqa: ARG002
        """None."""
        return None

    def lint_schema(self, schema: Mapping[str, object]) -> list[str]:
        """What of a schema Ollama's grammar would ignore, refuse or reorder."""
        return lint_answer_schema(schema)

    def _read_version(self, endpoint: str, fetch: Fetch) -> str:
        path = "/api/version"
        version = self._require_object(fetch(HttpRequest("GET", path)), path).get("version")
        shown = plain_name(version) if isinstance(version, str) else None
        if shown is None:
            raise EndpointError(f"{endpoint} does not say which Ollama it is", "is it an Ollama server?")
        numbers = tuple(int(number) for number in _NUMBERS.findall(shown)[:3])
        # A build from source calls itself 0.0.0.
        if numbers != (0, 0, 0) and numbers < _OLDEST:
            raise EndpointError(
                f"{endpoint} runs Ollama {shown}, which cuts prompts that are too long without a word",
                f"update it to {'.'.join(map(str, _OLDEST))} or later",
            )
        return shown

    def _require_object(self, exchange: Exchange, path: str) -> dict[str, object]:
        endpoint = exchange.endpoint
        if exchange.status != _OK or exchange.content_type != _JSON:
            outcome = self.read(exchange, "")
            if isinstance(outcome, Stop) and isinstance(outcome.error, AccessDeniedError):
                raise outcome.error
            raise EndpointError(
                f"{endpoint} answers {path} with status {exchange.status}", _cure_of_address(endpoint)
            )
        payload = load_object(exchange.content)
        if payload is None:
            raise EndpointError(
                f"{endpoint}{path} does not answer with a JSON object", "is it an Ollama server?"
            )
        return payload


def _cure_of_address(endpoint: str) -> str:
    if endpoint.endswith("/v1"):
        return "leave /v1 out of its address: that is the path of another API"
    return "is it an Ollama server?"


def _cloud_error(model: str) -> ModelError:
    return ModelError(
        f"{model} is a cloud model", "pages are confidential; choose a model that runs on your server"
    )


def _checked_digest(digest: str, endpoint: str, model: str) -> str:
    if not digest:
        raise ModelError(
            f"{endpoint} gives no digest for {model}", "the answers could not be attributed to a model"
        )
    return digest


def _judge_stream(content: bytes) -> Outcome:
    """Reads NDJSON; an error of the runner arrives as a last line under status 200."""
    objects: list[dict[str, object]] = []
    # A gateway may keep a connection alive by blank lines.
    for line in filter(bytes.strip, content.splitlines()):
        payload = load_object(line)
        if payload is None:
            return Unavailable(Reason.SERVER_ERROR)
        if "error" in payload:
            return judge_error_line(payload["error"])
        objects.append(payload)
    return judge_reply(parse_reply(join_stream(objects)))
