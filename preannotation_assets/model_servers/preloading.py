"""Before the first request: has the model loaded with the options of the run, and waits for it."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from preannotation_assets.errors import AccessDeniedError, EndpointError
from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.exchanging import Bounds, Exchanger
from preannotation_assets.model_servers.http_client import Timeouts
from preannotation_assets.model_servers.judging import judge_exchange
from preannotation_assets.model_servers.outcomes import Reason, Stop, Unavailable
from preannotation_assets.model_servers.preflight import lost_error
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.model_servers.template import RequestTemplate

__all__ = ["preload"]

_POLICY: Final = RetryPolicy()


def preload(
    server: ModelServer,
    endpoints: Sequence[str],
    template: RequestTemplate,
    environment: Mapping[str, str],
    timeouts: Timeouts,
    policy: RetryPolicy = _POLICY,
) -> None:
    """Loads the model on all endpoints at once and waits for them, ``load`` seconds at most.

    A client that gives up while a model loads may make the server abandon the load, so that time is long.
    A server that is busy, for example because another client makes it load, is asked again until it is over;
    one that fails is asked as often as the policy says. Both wait as the policy does. With one endpoint that
    cannot load it the others are not waited for.

    Raises:
        EndpointError: the model could not be loaded.
        AccessDeniedError: a login page or a refusal stands before it.
        SettingsError: it was loaded otherwise than the requests need it, or there is no safe way to it.
    """
    request = server.preload_request(template)
    if request is not None:
        asyncio.run(_load_all(server, endpoints, template, request, environment, timeouts, policy))


async def _load_all(
    server: ModelServer,
    endpoints: Sequence[str],
    template: RequestTemplate,
    request: HttpRequest,
    environment: Mapping[str, str],
    timeouts: Timeouts,
    policy: RetryPolicy,
) -> None:
    async with Exchanger(server, environment, timeouts.connect) as exchanger:
        deadline = time.monotonic() + timeouts.load
        loading = _Loading(exchanger, server, template, request, policy, deadline, timeouts.small)
        tasks = [asyncio.create_task(loading.load(endpoint)) for endpoint in endpoints]
        try:
            for ended in asyncio.as_completed(tasks):
                await ended
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Loading:
    """Loads the model until ``deadline``, by the monotonic clock; a look at it may take ``small_seconds``."""

    exchanger: Exchanger
    server: ModelServer
    template: RequestTemplate
    request: HttpRequest
    policy: RetryPolicy
    deadline: float
    small_seconds: float

    async def load(self, endpoint: str) -> None:
        """Asks one endpoint until it has loaded the model.

        Raises:
            EndpointError: it cannot be reached, refuses, or did not load it in the time and attempts allowed.
            AccessDeniedError: a login page or a refusal stands before it.
            SettingsError: it was loaded otherwise than the requests need it.
        """
        failures = errors = 0
        said = "no answer in time"
        random_source = random.Random()  # noqa: S311
        while True:
            exchange = await self._exchange(endpoint, self.request, self.deadline - time.monotonic())
            if exchange.lost is Reason.TIMED_OUT:
                raise self._given_up(endpoint, failures + 1, said)
            self._require_whole(exchange, self.request)
            if exchange.is_reply:
                await self._check_loaded(endpoint)
                return
            outcome = judge_exchange(self.server, exchange, self.template)
            if not isinstance(outcome, Unavailable):
                raise self._refusal(exchange, outcome.error if isinstance(outcome, Stop) else None)
            failures += 1
            errors += outcome.reason is not Reason.OVERLOADED
            said = f"status {exchange.status}"
            delay = self.policy.delay(failures, outcome.retry_after, random_source)
            if errors >= self.policy.attempts or time.monotonic() + delay > self.deadline:
                raise self._given_up(endpoint, failures, said)
            await asyncio.sleep(delay)

    async def _check_loaded(self, endpoint: str) -> None:
        request = self.server.loaded_request()
        if request is not None:
            exchange = await self._exchange(endpoint, request, self.small_seconds)
            self._require_whole(exchange, request)
            self.server.check_loaded(exchange, self.template)

    async def _exchange(self, endpoint: str, request: HttpRequest, seconds: float) -> Exchange:
        bounds = Bounds.of_small_reply(max(0.0, seconds))
        return await self.exchanger.exchange(endpoint, request, bounds)

    def _require_whole(self, exchange: Exchange, request: HttpRequest) -> None:
        error = lost_error(self.server, exchange, request)
        if error:
            raise error

    def _given_up(self, endpoint: str, attempts: int, said: str) -> EndpointError:
        return EndpointError(
            f"{endpoint} could not load {self.template.model} in {attempts} attempts ({said})",
            "look at the server's log",
        )

    def _refusal(self, exchange: Exchange, error: Exception | None) -> Exception:
        if isinstance(error, AccessDeniedError):
            return error
        return EndpointError(
            f"{exchange.endpoint} answers {self.request.path} with status {exchange.status}",
            f"is it {self.server.kind}, and is the model able to load? Look at the server's log",
        )
