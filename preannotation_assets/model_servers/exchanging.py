"""One HTTP request and its response, bounded in time and in bytes; no redirect is followed."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import httpcore
import httpx

from preannotation_assets.model_servers.connections import Connections
from preannotation_assets.model_servers.endless import EndlessWatch
from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.outcomes import Reason
from preannotation_assets.model_servers.reply_body import ReplyBody, UnreadableBodyError
from preannotation_assets.model_servers.request_frames import encode_body
from preannotation_assets.model_servers.server import ModelServer

__all__ = ["MOST_SMALL_REPLY_BYTES", "BlockingExchanger", "Bounds", "Exchanger"]

MOST_SMALL_REPLY_BYTES: Final = 4 * 10**6
"""Of everything but an answer: a list of 10,000 models has 3 MB, the metrics of vLLM 0.1 MB."""

_HEADERS: Final = {
    "Content-Type": "application/json",
    "Accept": "application/json, application/x-ndjson, text/event-stream",
    # What a server deflates could be any size; see ReplyBody.
    "Accept-Encoding": "identity",
    "User-Agent": "preannotation-assets",
}
_WRITE_SECONDS: Final = 60.0
_NO_RESPONSE: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a response may take: seconds in all, seconds of silence, and inflated bytes.

    ``first_silence`` is the one before the response begins, ``silence`` any later one.
    """

    total: float
    first_silence: float
    silence: float
    most_bytes: int

    @classmethod
    def of_small_reply(cls, total: float) -> "Bounds":
        """Those of everything but an answer."""
        return cls(total, total, total, MOST_SMALL_REPLY_BYTES)


@dataclass(frozen=True, slots=True)
class _Received:
    """``given_up`` where it was left before its end, ``unreadable`` where that was because of its body."""

    status: int
    headers: httpx.Headers
    content: bytes
    given_up: bool = False
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class _Head:
    """What all requests to one place begin with."""

    url: httpcore.URL
    headers: Sequence[tuple[bytes, bytes]]


class Exchanger:
    """Sends requests; one for each event loop. Use it as an asynchronous context manager."""

    def __init__(self, server: ModelServer, environment: Mapping[str, str], connect_seconds: float) -> None:
        self._server = server
        self._environment = environment
        self._connections = Connections(environment)
        self._heads: dict[tuple[str, str], _Head] = {}
        # Silence and length of a response are bounded by `_receive`.
        self._extensions = {"timeout": {"connect": connect_seconds, "write": _WRITE_SECONDS}}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._connections.close()

    async def exchange(self, endpoint: str, request: HttpRequest, bounds: Bounds) -> Exchange:
        """Sends a request. Never raises for what a server or a network does.

        Raises:
            SettingsError: there is no safe way to the endpoint.
        """
        return await self.exchange_encoded(endpoint, request, encode_body(request), bounds)

    async def exchange_encoded(
        self,
        endpoint: str,
        request: HttpRequest,
        body: bytes | None,
        bounds: Bounds,
        watch: EndlessWatch | None = None,
    ) -> Exchange:
        """The same with a body that is encoded already; what ``watch`` sees no end of is left.

        Raises:
            SettingsError: there is no safe way to the endpoint.
        """
        began_at, began = time.time(), time.monotonic()
        try:
            async with asyncio.timeout(bounds.total):
                sent = self._encoded(endpoint, request, body)
                received = await self._receive(endpoint, sent, bounds, watch)
        except (httpcore.ConnectTimeout, httpcore.ConnectError):
            lost = Reason.UNREACHABLE
        except (httpcore.TimeoutException, TimeoutError):
            lost = Reason.TIMED_OUT
        except _NO_RESPONSE:
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

    async def _receive(
        self, endpoint: str, request: httpcore.Request, bounds: Bounds, watch: EndlessWatch | None
    ) -> _Received:
        """The response and its content; an inner time-out bounds every silence.

        What cannot end is left, which closes its connection: servers stop writing then.
        """
        loop = asyncio.get_running_loop()
        async with (
            asyncio.timeout(bounds.first_silence) as silence,
            self._connections.response(endpoint, request) as response,
        ):
            status, headers = response.status, httpx.Headers(response.headers)
            try:
                body = ReplyBody(headers.get("content-encoding", ""), bounds.most_bytes)
                async for part in response.aiter_stream():
                    plain = body.add(part)
                    if watch and watch.sees_no_end(plain):
                        return _Received(status, headers, body.whole_lines(), given_up=True)
                    silence.reschedule(loop.time() + bounds.silence)
                return _Received(status, headers, body.whole())
            except UnreadableBodyError:
                return _Received(status, headers, b"", given_up=True, unreadable=True)

    def _encoded(self, endpoint: str, request: HttpRequest, body: bytes | None) -> httpcore.Request:
        if (head := self._heads.get((endpoint, request.path))) is None:
            url = httpx.URL(f"{endpoint}{request.path}")
            secrets = self._server.headers_for(endpoint, self._environment)
            headers = httpx.Headers({"Host": url.netloc.decode("ascii"), **_HEADERS, **secrets})
            head = self._heads[endpoint, request.path] = _Head(
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers.raw,
            )
        length = () if body is None else ((b"Content-Length", b"%d" % len(body)),)
        return httpcore.Request(
            request.method,
            head.url,
            headers=[*head.headers, *length],
            content=body,
            extensions=self._extensions,
        )


class BlockingExchanger:
    """The same for a thread that waits. Use it as a context manager, in one thread."""

    def __init__(self, server: ModelServer, environment: Mapping[str, str], connect_seconds: float) -> None:
        self._exchanger = Exchanger(server, environment, connect_seconds)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._runner:
            self._runner.run(self._exchanger.__aexit__(*exception))

    def exchange(self, endpoint: str, request: HttpRequest, bounds: Bounds) -> Exchange:
        """Sends a request and waits for the response.

        Raises:
            SettingsError: there is no safe way to the endpoint.
        """
        return self._runner.run(self._exchanger.exchange(endpoint, request, bounds))
