"""Before the first request: is there an Ollama, may we use it, does it have the model?"""

import json
import random
import re
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Final, NoReturn

import httpx

from preannotation_assets.errors import AccessDeniedError, EndpointError, ModelError, SettingsError
from preannotation_assets.extraction.prompt import Prompt
from preannotation_assets.model_servers.http_client import Timeouts, find_digest
from preannotation_assets.model_servers.ollama.wire import ModelOptions, RequestTemplate
from preannotation_assets.model_servers.outcomes import Reason, RetryPolicy, Stop, Unavailable, judge_error

__all__ = ["ModelIdentity", "check_model_name", "identify_model", "preload", "require_room"]

_OLDEST: Final = (0, 12, 6)
_OK: Final = 200
_POLICY: Final = RetryPolicy()


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """A model as the endpoints have it. ``digest`` is the SHA-256 of the manifest, in hexadecimal.

    ``versions`` are the Ollama versions, by endpoint.
    """

    model: str
    digest: str
    versions: tuple[tuple[str, str], ...]


def check_model_name(model: str) -> None:
    """Refuses names that Ollama would send to its own cloud.

    Raises:
        ModelError: the name ends in ``:cloud`` or ``-cloud``.
    """
    if re.search(r"[:-]cloud$", model):
        raise ModelError(
            f"{model} is a cloud model", "pages are confidential; choose a model that runs on your server"
        )


def identify_model(
    endpoints: Sequence[str], model: str, headers: Mapping[str, str], timeouts: Timeouts
) -> ModelIdentity:
    """Asks every endpoint for its version and for the model's digest.

    Raises:
        EndpointError: an endpoint cannot be reached, is no Ollama, or is too old.
        AccessDeniedError: a login page or a refusal stands before it.
        ModelError: the model is missing, a cloud model, or not the same on all endpoints.
    """
    check_model_name(model)
    timeout = httpx.Timeout(timeouts.connect, read=60.0)
    with httpx.Client(headers=dict(headers), follow_redirects=False, timeout=timeout) as client:
        versions = tuple((endpoint, _read_version(client, endpoint)) for endpoint in endpoints)
        digests = {endpoint: _read_digest(client, endpoint, model) for endpoint in endpoints}
    if len(set(digests.values())) > 1:
        shown = ", ".join(f"{endpoint}: {digest[:12]}" for endpoint, digest in digests.items())
        raise ModelError(
            f"{model} is not the same on all endpoints ({shown})", f"run on each: ollama pull {model}"
        )
    return ModelIdentity(model, digests[endpoints[0]], versions)


def preload(
    endpoints: Sequence[str],
    template: RequestTemplate,
    headers: Mapping[str, str],
    timeouts: Timeouts,
    policy: RetryPolicy = _POLICY,
) -> None:
    """Loads the model on all endpoints at once and waits for them.

    A client that gives up while a model loads makes Ollama abandon the load, so the time-out is long. A
    server that is busy, for example because another client makes it load, is asked again until ``load``
    seconds are over; one that fails is asked as often as the policy says. Both wait as the policy does.

    Raises:
        EndpointError: the model could not be loaded.
        AccessDeniedError: a login page or a refusal stands before it.
    """
    timeout = httpx.Timeout(timeouts.connect, read=timeouts.load)
    given_up = threading.Event()
    with (
        httpx.Client(headers=dict(headers), follow_redirects=False, timeout=timeout) as client,
        ThreadPoolExecutor(len(endpoints)) as loaders,
    ):
        loading = _Loading(client, template, policy, time.monotonic() + timeouts.load, given_up)
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
    template: RequestTemplate
    policy: RetryPolicy
    deadline: float
    given_up: threading.Event

    def load(self, endpoint: str) -> None:
        failures = errors = 0
        random_source = random.Random()  # noqa: S311
        while not self.given_up.is_set():
            response = self._ask(endpoint)
            if response.status_code == _OK and _is_json(response):
                return
            outcome = judge_error(
                endpoint, self.template.model, response.status_code, response.headers, response.content
            )
            if not isinstance(outcome, Unavailable):
                _raise_for(endpoint, self.template.model, response)
            failures += 1
            errors += outcome.reason is not Reason.OVERLOADED
            delay = self.policy.delay(failures, outcome.retry_after, random_source)
            if errors >= self.policy.attempts or time.monotonic() + delay > self.deadline:
                raise EndpointError(
                    f"{endpoint} could not load {self.template.model} in {failures} attempts"
                    f" (status {response.status_code})",
                    "look at the server's log",
                )
            self.given_up.wait(delay)

    def _ask(self, endpoint: str) -> httpx.Response:
        try:
            return self.client.post(f"{endpoint}/api/chat", json=self.template.preload_body())
        except httpx.TransportError as error:
            raise _unreachable(endpoint, error) from None


def _read_version(client: httpx.Client, endpoint: str) -> str:
    version = _get_object(client, endpoint, "/api/version").get("version")
    if not isinstance(version, str):
        raise EndpointError(f"{endpoint} does not say which Ollama it is", "is it an Ollama server?")
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    # A build from source calls itself 0.0.0.
    if numbers != (0, 0, 0) and numbers < _OLDEST:
        raise EndpointError(
            f"{endpoint} runs Ollama {version[:40]}, which cuts prompts that are too long without a word",
            f"update it to {'.'.join(map(str, _OLDEST))} or later",
        )
    return version


def _read_digest(client: httpx.Client, endpoint: str, model: str) -> str:
    digest = find_digest(_get_object(client, endpoint, "/api/tags"), model)
    if digest is None:
        raise ModelError(f"{endpoint} has no model {model}", f"run: ollama pull {model}")
    if not re.fullmatch(r"[A-Za-z0-9:._-]{8,100}", digest):
        raise ModelError(
            f"{endpoint} gives no digest for {model}", "the answers could not be attributed to a model"
        )
    return digest


def _get_object(client: httpx.Client, endpoint: str, path: str) -> dict[str, object]:
    try:
        response = client.get(f"{endpoint}{path}")
    except httpx.TransportError as error:
        raise _unreachable(endpoint, error) from None
    if response.status_code != _OK or not _is_json(response):
        _raise_for(endpoint, "", response)
    try:
        payload = json.loads(response.content)
    except ValueError:
        payload = None
    if not isinstance(payload, dict):
        raise EndpointError(f"{endpoint}{path} does not answer with a JSON object", "is it an Ollama server?")
    return payload


def _is_json(response: httpx.Response) -> bool:
    return str(response.headers.get("content-type", "")).startswith("application/json")


def _raise_for(endpoint: str, model: str, response: httpx.Response) -> NoReturn:
    outcome = judge_error(endpoint, model, response.status_code, response.headers, response.content)
    if isinstance(outcome, Stop) and isinstance(outcome.error, AccessDeniedError):
        raise outcome.error
    raise EndpointError(
        f"{endpoint} answers {response.request.url.path} with status {response.status_code}",
        "is it an Ollama server, and is the model able to load? Look at the server's log",
    )


def _unreachable(endpoint: str, error: httpx.TransportError) -> EndpointError:
    return EndpointError(
        f"{endpoint} cannot be reached ({type(error).__name__})", "start Ollama there, or set OLLAMA_HOST"
    )


def require_room(prompt: Prompt, chunk_tokens: int, options: ModelOptions) -> None:
    """Makes sure that prompt, chunk and answer fit the context together.

    Raises:
        SettingsError: they do not.
    """
    needed = prompt.estimate_tokens(chunk_tokens) + options.num_predict
    if needed > options.num_ctx:
        raise SettingsError(
            f"instructions, a chunk of {chunk_tokens} tokens and an answer of {options.num_predict}"
            f" need {needed} tokens, but num_ctx is {options.num_ctx}",
            "raise PREANNOTATION_NUM_CTX or lower PREANNOTATION_CHUNK_TOKENS",
        )
