"""Before the first request: is there a server, may we use it, does it have the model, is there room?"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from preannotation_assets.errors import EndpointError, LabelSchemeError, ModelError, SettingsError
from preannotation_assets.extraction.argilla_rules import MOST_AGENT_CHARACTERS, agent_of, is_agent
from preannotation_assets.extraction.prompt import Prompt
from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.exchanging import MOST_SMALL_REPLY_BYTES, BlockingExchanger, Bounds
from preannotation_assets.model_servers.http_client import Timeouts
from preannotation_assets.model_servers.outcomes import Reason
from preannotation_assets.model_servers.proxies import proxy_for
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.server import EndpointIdentity, ModelServer
from preannotation_assets.model_servers.statuses import judge_unavailable
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate
from preannotation_assets.visible_text import visible_line

__all__ = [
    "ModelIdentity",
    "identify_model",
    "lost_error",
    "notes_of",
    "require_agent",
    "require_honoured_schema",
    "require_room",
    "require_served_context",
]

_POLICY: Final = RetryPolicy()


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


def notes_of(*identities: ModelIdentity) -> list[str]:
    """What is to be said of one or several models; what holds for all of them once."""
    return list(dict.fromkeys(note for identity in identities for note in identity.notes))


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
    ``first_token`` seconds are over. Every other request may take ``small`` seconds.

    Raises:
        EndpointError: an endpoint cannot be reached, is of another kind, or is too old.
        AccessDeniedError: a login page or a refusal stands before it.
        ModelError: the model is missing, must not be asked, or is not the same on all endpoints.
        SettingsError: there is no safe way to an endpoint; then nothing has been sent to any.
    """
    server.check_model_name(model)
    for endpoint in endpoints:
        proxy_for(endpoint, environment)
    with BlockingExchanger(server, environment, timeouts.connect) as exchanger:
        identities = {
            endpoint: server.identify(
                endpoint, model, _PatientFetcher(exchanger, server, endpoint, timeouts, policy)
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


@dataclass(frozen=True, slots=True)
class _PatientFetcher:
    """Sends requests to one endpoint, one after the other.

    What has a body is work for the model, which may wait in the server's queue for ``first_token``
    seconds. It is sent again as long as the server refuses it for load (429, 503).
    """

    exchanger: BlockingExchanger
    server: ModelServer
    endpoint: str
    timeouts: Timeouts
    policy: RetryPolicy

    def __call__(self, request: HttpRequest) -> Exchange:
        deadline = time.monotonic() + self.timeouts.first_token
        random_source = random.Random()  # noqa: S311
        failures = 0
        while True:
            exchange = self._exchange(request)
            unavailable = judge_unavailable(exchange.status, exchange.headers or {})
            if request.body is None or not unavailable or unavailable.reason is not Reason.OVERLOADED:
                return exchange
            failures += 1
            delay = self.policy.delay(failures, unavailable.retry_after, random_source)
            if time.monotonic() + delay > deadline:
                return exchange
            time.sleep(delay)

    def _exchange(self, request: HttpRequest) -> Exchange:
        seconds = self.timeouts.small if request.body is None else self.timeouts.first_token
        exchange = self.exchanger.exchange(self.endpoint, request, Bounds.of_small_reply(seconds))
        error = lost_error(self.server, exchange, request)
        if error:
            raise error
        return exchange


def lost_error(server: ModelServer, exchange: Exchange, request: HttpRequest) -> EndpointError | None:
    """What is told of a small request to which no whole reply came; None where one came."""
    endpoint, path = exchange.endpoint, request.path
    if exchange.unreadable:
        return EndpointError(
            f"{endpoint} answers {path} with more than {MOST_SMALL_REPLY_BYTES // 10**6} MB"
            " or in a coding that nobody asked for",
            f"is it {server.kind}?",
        )
    match exchange.lost:
        case None:
            return None
        case Reason.TIMED_OUT:
            problem = f"{endpoint} has not answered {path} within {exchange.seconds:.0f} s"
            return EndpointError(problem, "look at the server's log")
        case Reason.CONNECTION_LOST:
            return EndpointError(f"{endpoint} broke off its answer to {path}", "look at the server's log")
        case _:
            return EndpointError(f"{endpoint} cannot be reached", server.cure)


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
    shown = visible_line(template.model)
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
