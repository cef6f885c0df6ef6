"""Before the first request: is there a server, may we use it, does it have the model, is there room?"""

import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Final

import httpx

from preannotation_assets.errors import (
    AccessDeniedError,
    EndpointError,
    LabelSchemeError,
    ModelError,
    SettingsError,
)
from preannotation_assets.extraction.argilla_rules import MOST_AGENT_CHARACTERS, agent_of, is_agent
from preannotation_assets.extraction.prompt import Prompt
from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.http_client import Timeouts
from preannotation_assets.model_servers.outcomes import Reason, Stop, Unavailable
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.server import EndpointIdentity, ModelServer
from preannotation_assets.model_servers.statuses import judge_unavailable
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate

__all__ = [
    "ModelIdentity",
    "identify_model",
    "preload",
    "require_agent",
    "require_honoured_schema",
    "require_room",
    "require_served_context",
]

_POLICY: Final = RetryPolicy()
_IDENTITY_SECONDS: Final = 60.0
_LONGEST_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """A model as the endpoints have it; ``digest`` names its weights, and is the same on all of them.

    ``versions`` are the servers' own, by endpoint. ``context_tokens`` is the least that an endpoint allows
    for prompt and answer, None where the request says it. ``variant`` is what ``ModelServer.for_variant``
    reads, ``notes`` are lines for whoever runs the batch.
    """

    model: str
    digest: str
    versions: tuple[tuple[str, str], ...]
    context_tokens: int | None = None
    variant: str = ""
    notes: tuple[str, ...] = ()


def identify_model(
    server: ModelServer,
    endpoints: Sequence[str],
    model: str,
    environment: Mapping[str, str],
    timeouts: Timeouts,
    policy: RetryPolicy = _POLICY,
) -> ModelIdentity:
    """Asks every endpoint for its version and for the model's digest.

    Where that needs work of the model and the server is too busy for it, it waits as the policy does, until
    ``first_token`` seconds are over.

    Raises:
        EndpointError: an endpoint cannot be reached, is of another kind, or is too old.
        AccessDeniedError: a login page or a refusal stands before it.
        ModelError: the model is missing, must not be asked, or is not the same on all endpoints.
    """
    server.check_model_name(model)
    timeout = httpx.Timeout(timeouts.connect, read=_IDENTITY_SECONDS)
    with _client(server, environment, timeout) as client:
        identities = {
            endpoint: server.identify(
                endpoint,
                model,
                _PatientFetcher(_Fetcher(client, server, endpoint, timeouts.first_token), policy),
            )
            for endpoint in endpoints
        }
    return _one_model(server, model, identities)


def _one_model(server: ModelServer, model: str, identities: Mapping[str, EndpointIdentity]) -> ModelIdentity:
    digests = {identity.digest for identity in identities.values()}
    if len(digests) > 1:
        shown = ", ".join(f"{endpoint}: {identity.digest[:12]}" for endpoint, identity in identities.items())
        raise ModelError(f"{model} is not the same on all endpoints ({shown})", server.cure_missing(model))
    variants = {identity.variant for identity in identities.values()}
    if len(variants) > 1:
        shown = ", ".join(f"{endpoint}: {identity.variant}" for endpoint, identity in identities.items())
        raise ModelError(f"the endpoints are not asked alike ({shown})", "use servers of one kind in a run")
    limits = [identity.context_tokens for identity in identities.values() if identity.context_tokens]
    return ModelIdentity(
        model,
        digests.pop(),
        versions=tuple((endpoint, identity.version) for endpoint, identity in identities.items()),
        context_tokens=min(limits, default=None),
        variant=variants.pop(),
        notes=tuple(dict.fromkeys(note for identity in identities.values() for note in identity.notes)),
    )


def _client(server: ModelServer, environment: Mapping[str, str], timeout: httpx.Timeout) -> httpx.Client:
    return httpx.Client(headers=server.headers(environment), follow_redirects=False, timeout=timeout)


@dataclass(frozen=True, slots=True)
class _Fetcher:
    """Sends requests to one endpoint, one after the other.

    What has a body is work for the model, which may wait in the server's queue for ``working_seconds``.
    """

    client: httpx.Client
    server: ModelServer
    endpoint: str
    working_seconds: float

    def __call__(self, request: HttpRequest) -> Exchange:
        began_at, began = time.time(), time.monotonic()
        body = None if request.body is None else json.dumps(request.body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        silence = self.client.timeout.read if body is None else self.working_seconds
        timeout = httpx.Timeout(self.client.timeout.connect, read=silence)
        url = f"{self.endpoint}{request.path}"
        try:
            response = self.client.request(
                request.method, url, content=body, headers=headers, timeout=timeout
            )
        except httpx.RequestError as error:
            raise EndpointError(
                f"{self.endpoint} cannot be reached ({type(error).__name__})", self.server.cure
            ) from None
        seconds = time.monotonic() - began
        return Exchange(
            self.endpoint,
            began_at,
            seconds,
            None,
            response.status_code,
            response.headers,
            response.content,
            request=request,
        )


@dataclass(frozen=True, slots=True)
class _PatientFetcher:
    """Sends work for the model again as long as the server refuses it for load (429, 503)."""

    fetch: _Fetcher
    policy: RetryPolicy

    def __call__(self, request: HttpRequest) -> Exchange:
        deadline = time.monotonic() + self.fetch.working_seconds
        random_source = random.Random()  # noqa: S311
        failures = 0
        while True:
            exchange = self.fetch(request)
            unavailable = judge_unavailable(exchange.status, exchange.headers or {})
            if request.body is None or not unavailable or unavailable.reason is not Reason.OVERLOADED:
                return exchange
            failures += 1
            delay = self.policy.delay(failures, unavailable.retry_after, random_source)
            if time.monotonic() + delay > deadline:
                return exchange
            time.sleep(delay)


def preload(
    server: ModelServer,
    endpoints: Sequence[str],
    template: RequestTemplate,
    environment: Mapping[str, str],
    timeouts: Timeouts,
    policy: RetryPolicy = _POLICY,
) -> None:
    """Loads the model on all endpoints at once and waits for them.

    A client that gives up while a model loads may make the server abandon the load, so the time-out is long.
    A server that is busy, for example because another client makes it load, is asked again until ``load``
    seconds are over; one that fails is asked as often as the policy says. Both wait as the policy does.

    Raises:
        EndpointError: the model could not be loaded.
        AccessDeniedError: a login page or a refusal stands before it.
        SettingsError: it was loaded otherwise than the requests need it.
    """
    request = server.preload_request(template)
    if request is None:
        return
    timeout = httpx.Timeout(timeouts.connect)
    given_up = threading.Event()
    with _client(server, environment, timeout) as client, ThreadPoolExecutor(len(endpoints)) as loaders:
        deadline = time.monotonic() + timeouts.load
        loading = _Loading(client, server, template, request, policy, timeouts.load, deadline, given_up)
        try:
            running = [loaders.submit(loading.load, endpoint) for endpoint in endpoints]
            for ended in as_completed(running):
                ended.result()
        finally:
            given_up.set()


@dataclass(frozen=True, slots=True)
class _Loading:
    """Loads the model until ``deadline``, or until ``given_up`` says that there is no point any more."""

    client: httpx.Client
    server: ModelServer
    template: RequestTemplate
    request: HttpRequest
    policy: RetryPolicy
    load_seconds: float
    deadline: float
    given_up: threading.Event

    def load(self, endpoint: str) -> None:
        """Asks one endpoint until it has loaded the model.

        Raises:
            EndpointError: it cannot be reached, refuses, or did not load it in the time and attempts allowed.
            AccessDeniedError: a login page or a refusal stands before it.
            SettingsError: it was loaded otherwise than the requests need it.
        """
        fetch = _Fetcher(self.client, self.server, endpoint, self.load_seconds)
        failures = errors = 0
        random_source = random.Random()  # noqa: S311
        while not self.given_up.is_set():
            exchange = fetch(self.request)
            if exchange.is_reply:
                self.server.check_loaded(endpoint, self.template, fetch)
                return
            outcome = self.server.read(exchange, self.template.model)
            if not isinstance(outcome, Unavailable):
                raise self._refusal(exchange, outcome.error if isinstance(outcome, Stop) else None)
            failures += 1
            errors += outcome.reason is not Reason.OVERLOADED
            delay = self.policy.delay(failures, outcome.retry_after, random_source)
            if errors >= self.policy.attempts or time.monotonic() + delay > self.deadline:
                raise EndpointError(
                    f"{endpoint} could not load {self.template.model} in {failures} attempts"
                    f" (status {exchange.status})",
                    "look at the server's log",
                )
            self.given_up.wait(delay)

    def _refusal(self, exchange: Exchange, error: Exception | None) -> Exception:
        if isinstance(error, AccessDeniedError):
            return error
        return EndpointError(
            f"{exchange.endpoint} answers {self.request.path} with status {exchange.status}",
            f"is it {self.server.kind}, and is the model able to load? Look at the server's log",
        )


def require_honoured_schema(server: ModelServer, prompt: Prompt) -> None:
    """Makes sure that the server's grammar keeps to the whole answer schema.

    Raises:
        LabelSchemeError: it would ignore, refuse or reorder a part of it.
    """
    problems = server.lint_schema(prompt.answer_schema)
    if problems:
        raise LabelSchemeError(f"{server.kind} would not keep to the answer schema", "; ".join(problems[:3]))


def require_agent(template: RequestTemplate) -> None:
    """Makes sure that Argilla takes suggestions in the model's name, which is told with them.

    Raises:
        ModelError: it has characters that Argilla refuses, or is too long together with its version.
    """
    agent = agent_of(template.model, template.model_version)
    if is_agent(agent):
        return
    shown = template.model[:_LONGEST_SHOWN] + "…" * (len(template.model) > _LONGEST_SHOWN)
    longest = MOST_AGENT_CHARACTERS - (len(agent) - len(template.model))
    raise ModelError(
        f"Argilla takes no suggestions of a model named {shown!r}",
        f"give it a name of at most {longest} letters, digits and _:./- at its server (ollama cp,"
        " --served-model-name of vLLM, --alias of llama-server), and set PREANNOTATION_MODEL to that",
    )


def require_room(prompt: Prompt, chunk_tokens: int, options: ModelOptions) -> None:
    """Makes sure that prompt, chunk and answer fit the context together.

    Raises:
        SettingsError: they do not.
    """
    needed = prompt.estimate_tokens(chunk_tokens) + options.answer_tokens
    if needed > options.context_tokens:
        raise SettingsError(
            f"instructions, a chunk of {chunk_tokens} tokens and an answer of {options.answer_tokens}"
            f" need {needed} tokens, but num_ctx is {options.context_tokens}",
            "raise PREANNOTATION_NUM_CTX or lower PREANNOTATION_CHUNK_TOKENS",
        )


def require_served_context(identity: ModelIdentity, options: ModelOptions) -> None:
    """Makes sure that the servers allow the context that requests are planned for.

    Raises:
        SettingsError: they do not.
    """
    if identity.context_tokens is not None and identity.context_tokens < options.context_tokens:
        raise SettingsError(
            f"num_ctx is {options.context_tokens}, but the servers allow"
            f" {identity.context_tokens} tokens with this model",
            f"set PREANNOTATION_NUM_CTX={identity.context_tokens} or lower,"
            " or serve the model with a longer context",
        )
