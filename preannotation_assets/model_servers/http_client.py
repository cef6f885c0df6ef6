"""One request over HTTP, with every time-out explicit and no redirect followed."""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

import httpx

from preannotation_assets.model_servers.access import wants_stream
from preannotation_assets.model_servers.endless import EndlessWatch
from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.judging import judge_exchange
from preannotation_assets.model_servers.outcomes import Outcome, Reason
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.model_servers.stream_choice import StreamChoice
from preannotation_assets.model_servers.template import RequestTemplate

__all__ = ["ChatClient", "Timeouts"]

# vLLM closes a connection that was idle for 5 s; a request that meets that moment would be lost.
_IDLE_SECONDS: Final = 3.0


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
    response: httpx.Response
    content: bytes
    given_up: bool


class ChatClient:
    """Sends chat requests; one for each event loop. Use it as an asynchronous context manager."""

    def __init__(
        self, server: ModelServer, timeouts: Timeouts, environment: Mapping[str, str], stream: StreamChoice
    ) -> None:
        self._server = server
        self._timeouts = timeouts
        self._stream = stream
        self._headers = {**server.headers(environment), "Content-Type": "application/json"}
        self._tls = httpx.create_ssl_context()
        self._all: list[httpx.AsyncClient] = []
        self._idle: dict[str, list[httpx.AsyncClient]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await asyncio.gather(*(client.aclose() for client in self._all))

    async def send(
        self, endpoint: str, template: RequestTemplate, chunk_text: str, variation: int, total_seconds: float
    ) -> Exchange:
        """Asks about one chunk. Never raises for what a server or a network does."""
        stream = wants_stream(self._stream, endpoint)
        request = self._server.chat_request(template, chunk_text, stream=stream, variation=variation)
        watch = EndlessWatch(self._server.stream_delta, chunk_text) if stream else None
        return await self._exchange(endpoint, request, total_seconds, watch)

    async def warm_up(
        self, endpoint: str, template: RequestTemplate, total_seconds: float
    ) -> Exchange | None:
        """Has the constant part of the prompt read; None where this kind of server has no request for it."""
        request = self._server.warm_up_request(template)
        return await self._exchange(endpoint, request, total_seconds) if request else None

    async def probe(self, endpoint: str, template: RequestTemplate, total_seconds: float) -> Exchange:
        """Sends a small request without a page, to see whether the endpoint lets one through."""
        return await self._exchange(endpoint, self._server.probe_request(template), total_seconds)

    def read(self, exchange: Exchange, template: RequestTemplate) -> Outcome:
        """What an exchange means. For a reply it costs a millisecond: give the permit back before."""
        return judge_exchange(self._server, exchange, template)

    async def digest(self, endpoint: str, template: RequestTemplate) -> str | None:
        """The digest that the endpoint has for the model by now; None where it does not say."""
        request = self._server.digest_request(template.model)
        exchange = await self._exchange(endpoint, request, self._timeouts.connect + self._timeouts.write)
        return None if exchange.lost else self._server.read_digest(exchange, template.model)

    async def _exchange(
        self, endpoint: str, request: HttpRequest, total_seconds: float, watch: EndlessWatch | None = None
    ) -> Exchange:
        began_at, began = time.time(), time.monotonic()
        try:
            async with asyncio.timeout(total_seconds):
                received = await self._receive(endpoint, request, watch)
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
                status=received.response.status_code,
                headers=received.response.headers,
                content=received.content,
                given_up=received.given_up,
                request=request,
            )
        return Exchange(endpoint, began_at, time.monotonic() - began, lost)

    async def _receive(self, endpoint: str, request: HttpRequest, watch: EndlessWatch | None) -> "_Received":
        """The response and its content; an inner time-out bounds every silence.

        What cannot end is left, which closes its connection: servers stop writing then.
        """
        parts: list[bytes] = []
        body = None if request.body is None else json.dumps(request.body).encode()
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._timeouts.first_token) as silence:
            with self._connection(endpoint) as client:
                url = f"{endpoint}{request.path}"
                async with client.stream(request.method, url, content=body) as response:
                    async for part in response.aiter_bytes():
                        parts.append(part)
                        if watch and watch.sees_no_end(part):
                            whole_lines = b"".join(parts).rpartition(b"\n")[0]
                            return _Received(response, whole_lines, given_up=True)
                        silence.reschedule(loop.time() + self._timeouts.between_tokens)
                    return _Received(response, b"".join(parts), given_up=False)

    @contextmanager
    def _connection(self, endpoint: str) -> Iterator[httpx.AsyncClient]:
        """A client of its own for the time of a request.

        One client for all looks at each of its connections several times a request: with 64 of them that
        made 10.9 ms of CPU a request instead of 2.3.
        """
        idle = self._idle.setdefault(endpoint, [])
        client = idle.pop() if idle else self._new_client()
        try:
            yield client
        finally:
            idle.append(client)

    def _new_client(self) -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            headers=self._headers,
            follow_redirects=False,
            verify=self._tls,
            # Silence and length of an answer are bounded by `_receive`, where the first token has its own.
            timeout=httpx.Timeout(
                connect=self._timeouts.connect,
                read=None,
                write=self._timeouts.write,
                pool=self._timeouts.pool,
            ),
            limits=httpx.Limits(
                max_connections=1, max_keepalive_connections=1, keepalive_expiry=_IDLE_SECONDS
            ),
        )
        self._all.append(client)
        return client
