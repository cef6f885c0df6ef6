"""Chat requests, every time-out of them explicit."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Self

from preannotation_assets.model_servers.endless import EndlessWatch
from preannotation_assets.model_servers.exchange import Exchange
from preannotation_assets.model_servers.exchanging import MOST_SMALL_REPLY_BYTES, Bounds, Exchanger
from preannotation_assets.model_servers.judging import judge_exchange
from preannotation_assets.model_servers.outcomes import Outcome
from preannotation_assets.model_servers.reply_body import MOST_REPLY_BYTES
from preannotation_assets.model_servers.request_frames import RequestFrames
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.model_servers.template import RequestTemplate

__all__ = ["ChatClient", "Timeouts"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time-outs in seconds.

    ``first_token`` bounds the wait for an answer to begin: the server's queue, a reload of the model and
    the reading of the prompt. Without streaming it bounds the whole answer, because servers then send
    nothing before the last token. ``between_tokens`` bounds the silence inside a streamed answer, and
    ``load`` the first loading of the model. ``shortest_total`` is the least that may be allowed. ``small``
    bounds the whole of everything but work for the model.
    """

    connect: float = 10.0
    small: float = 60.0
    first_token: float = 900.0
    between_tokens: float = 120.0
    total: float = 1800.0
    shortest_total: float = 300.0
    load: float = 1800.0

    @classmethod
    def for_silence(cls, longest: float, shortest_total: float) -> "Timeouts":
        """Those of a server that may be silent as long as that; an answer may take twice the time."""
        return cls(first_token=longest, total=2 * longest, shortest_total=min(shortest_total, longest))


class ChatClient:
    """Sends chat requests; one for each event loop. Use it as an asynchronous context manager.

    ``streamed`` are the endpoints whose answers are streamed.
    """

    def __init__(
        self, server: ModelServer, timeouts: Timeouts, environment: Mapping[str, str], streamed: Set[str]
    ) -> None:
        self._server = server
        self._timeouts = timeouts
        self._streamed = streamed
        self._frames = RequestFrames(server)
        self._exchanger = Exchanger(server, environment, timeouts.connect)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._exchanger.__aexit__(*exception)

    async def send(
        self, endpoint: str, template: RequestTemplate, chunk_text: str, variation: int, total_seconds: float
    ) -> Exchange:
        """Asks about one chunk. Never raises for what a server or a network does.

        Raises:
            SettingsError: there is no safe way to the endpoint.
        """
        stream = endpoint in self._streamed
        request, body = self._frames.encode(template, chunk_text, stream=stream, variation=variation)
        watch = EndlessWatch(self._server.stream_delta, chunk_text) if stream else None
        bounds = self._answer_bounds(total_seconds)
        return await self._exchanger.exchange_encoded(endpoint, request, body, bounds, watch)

    async def warm_up(
        self, endpoint: str, template: RequestTemplate, total_seconds: float
    ) -> Exchange | None:
        """Has the constant part of the prompt read; None where this kind of server has no request for it."""
        request = self._server.warm_up_request(template)
        if request is None:
            return None
        bounds = replace(self._answer_bounds(total_seconds), most_bytes=MOST_SMALL_REPLY_BYTES)
        return await self._exchanger.exchange(endpoint, request, bounds)

    async def probe(self, endpoint: str, template: RequestTemplate, total_seconds: float) -> Exchange:
        """Sends what others are but for the page, to see whether the endpoint lets it through."""
        request = self._server.probe_request(template, stream=endpoint in self._streamed)
        bounds = replace(self._answer_bounds(total_seconds), most_bytes=MOST_SMALL_REPLY_BYTES)
        return await self._exchanger.exchange(endpoint, request, bounds)

    def read(self, exchange: Exchange, template: RequestTemplate) -> Outcome:
        """What an exchange means. For a reply it costs a millisecond: give the permit back before."""
        return judge_exchange(self._server, exchange, template)

    async def digest(self, endpoint: str, template: RequestTemplate) -> str | None:
        """The digest that the endpoint has for the model by now; None where it does not say."""
        request = self._server.digest_request(template.model)
        bounds = Bounds.of_small_reply(self._timeouts.small)
        exchange = await self._exchanger.exchange(endpoint, request, bounds)
        return None if exchange.lost else self._server.read_digest(exchange, template.model)

    def _answer_bounds(self, total_seconds: float) -> Bounds:
        """The first token has a silence of its own."""
        first, between = self._timeouts.first_token, self._timeouts.between_tokens
        return Bounds(total_seconds, first, between, MOST_REPLY_BYTES)
