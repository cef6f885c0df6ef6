"""One request over HTTP, with every time-out explicit and no redirect followed."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import httpx

from preannotation_assets.model_servers.access import wants_stream
from preannotation_assets.model_servers.connections import Connections
from preannotation_assets.model_servers.endless import EndlessWatch
from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.outcomes import Outcome, Reason, Unusable
from preannotation_assets.model_servers.reply_body import MOST_REPLY_BYTES, ReplyBody, UnreadableBodyError
from preannotation_assets.model_servers.request_frames import RequestFrames, encode_body
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.model_servers.stream_choice import StreamChoice
from preannotation_assets.model_servers.template import RequestTemplate

__all__ = ["ChatClient", "Timeouts"]

_HEADERS: Final = {
    "Content-Type": "application/json",
    "Accept": "application/json, application/x-ndjson, text/event-stream",
    # What a server deflates could be any size; see ReplyBody.
    "Accept-Encoding": "identity",
    "User-Agent": "preannotation-assets",
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time-outs in seconds.

    ``first_token`` bounds the wait for an answer to begin: the server's queue, a reload of the model and
    the reading of the prompt. Without streaming it bounds the whole answer, because servers then send
    nothing before the last token. ``between_tokens`` bounds the silence inside a streamed answer, and
    ``load`` the first loading of the model. ``shortest_total`` is the least that may be allowed.
    """

    connect: float = 10.0
    write: float = 60.0
    pool: float = 10.0
    first_token: float = 900.0
    between_tokens: float = 120.0
    total: float = 1800.0
    shortest_total: float = 300.0
    load: float = 1800.0

    @classmethod
    def for_silence(cls, longest: float, shortest_total: float) -> "Timeouts":
        """Those of a server that may be silent as long as that; an answer may take twice the time."""
        return cls(first_token=longest, total=2 * longest, shortest_total=min(shortest_total, longest))


@dataclass(frozen=True, slots=True)
class _Received:
    """``given_up`` where it was left before its end, ``unreadable`` where that was because of its body."""

    status: int
    headers: httpx.Headers
    content: bytes
    given_up: bool = False
    unreadable: bool = False


class ChatClient:
    """Sends chat requests; one for each event loop. Use it as an asynchronous context manager."""

    def __init__(
        self, server: ModelServer, timeouts: Timeouts, environment: Mapping[str, str], stream: StreamChoice
    ) -> None:
        self._server = server
        self._timeouts = timeouts
        self._stream = stream
        self._environment = environment
        self._frames = RequestFrames(server)
        self._connections = Connections(environment)
        self._urls: dict[str, httpx.URL] = {}
        self._headers: dict[str, httpx.Headers] = {}
        # Silence and length of an answer are bounded by `_receive`, where the first token has its own.
        timeout = httpx.Timeout(connect=timeouts.connect, read=None, write=timeouts.write, pool=timeouts.pool)
        self._extensions = {"timeout": timeout.as_dict()}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._connections.close()

    async def send(
        self, endpoint: str, template: RequestTemplate, chunk_text: str, variation: int, total_seconds: float
    ) -> Exchange:
        """Asks about one chunk. Never raises for what a server or a network does.

        Raises:
            SettingsError: there is no safe way to the endpoint.
        """
        stream = wants_stream(self._stream, endpoint)
        request, body = self._frames.encode(template, chunk_text, stream=stream, variation=variation)
        watch = EndlessWatch(self._server.stream_delta, chunk_text) if stream else None
        return await self._exchange(endpoint, request, body, total_seconds, watch)

    async def warm_up(
        self, endpoint: str, template: RequestTemplate, total_seconds: float
    ) -> Exchange | None:
        """Has the constant part of the prompt read; None where this kind of server has no request for it."""
        request = self._server.warm_up_request(template)
        if request is None:
            return None
        return await self._exchange(endpoint, request, encode_body(request), total_seconds)

    def read(self, exchange: Exchange, template: RequestTemplate) -> Outcome:
        """What an exchange means. For a reply it costs a millisecond: give the permit back before."""
        if exchange.unreadable and exchange.is_reply:
            return Unusable(Reason.INVALID_ANSWER)
        return self._server.read(exchange, template.model)

    async def digest(self, endpoint: str, template: RequestTemplate) -> str | None:
        """The digest that the endpoint has for the model by now; None where it does not say."""
        request = self._server.digest_request(template.model)
        seconds = self._timeouts.connect + self._timeouts.write
        exchange = await self._exchange(endpoint, request, encode_body(request), seconds)
        return None if exchange.lost else self._server.read_digest(exchange, template.model)

    async def _exchange(
        self,
        endpoint: str,
        request: HttpRequest,
        body: bytes | None,
        total_seconds: float,
        watch: EndlessWatch | None = None,
    ) -> Exchange:
        began_at, began = time.time(), time.monotonic()
        try:
            async with asyncio.timeout(total_seconds):
                received = await self._receive(self._http_request(endpoint, request, body), endpoint, watch)
        except (httpx.ConnectTimeout, httpx.ConnectError):
            lost = Reason.UNREACHABLE
        except (httpx.TimeoutException, TimeoutError):
            lost = Reason.TIMED_OUT
        except httpx.HTTPError:
            lost = Reason.CONNECTION_LOST
        else:
            return Exchange(
                endpoint,
                began_at,
                time.monotonic() - began,
                lost=None,
                status=received.status,
                headers=received.headers,
                content=received.content,
                given_up=received.given_up,
                unreadable=received.unreadable,
                request=request,
            )
        return Exchange(endpoint, began_at, time.monotonic() - began, lost)

    async def _receive(self, request: httpx.Request, endpoint: str, watch: EndlessWatch | None) -> _Received:
        """The response and its content; an inner time-out bounds every silence.

        What cannot end is left, which closes its connection: servers stop writing then.
        """
        loop = asyncio.get_running_loop()
        async with (
            asyncio.timeout(self._timeouts.first_token) as silence,
            self._connections.response(endpoint, request) as response,
        ):
            status, headers = response.status_code, response.headers
            try:
                body = ReplyBody(headers.get("content-encoding", ""), MOST_REPLY_BYTES)
                async for part in response.aiter_raw():
                    plain = body.add(part)
                    if watch and watch.sees_no_end(plain):
                        return _Received(status, headers, body.whole_lines(), given_up=True)
                    silence.reschedule(loop.time() + self._timeouts.between_tokens)
                return _Received(status, headers, body.whole())
            except UnreadableBodyError:
                return _Received(status, headers, b"", given_up=True, unreadable=True)

    def _http_request(self, endpoint: str, request: HttpRequest, body: bytes | None) -> httpx.Request:
        address = f"{endpoint}{request.path}"
        if (url := self._urls.get(address)) is None:
            url = self._urls[address] = httpx.URL(address)
        if (headers := self._headers.get(endpoint)) is None:
            secrets = self._server.headers_for(endpoint, self._environment)
            headers = self._headers[endpoint] = httpx.Headers({**_HEADERS, **secrets})
        return httpx.Request(request.method, url, headers=headers, content=body, extensions=self._extensions)
