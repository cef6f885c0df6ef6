"""Connections to model servers, each for one request at a time."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Final

import httpcore
import httpx

from preannotation_assets.model_servers.network_streams import AsyncioBackend
from preannotation_assets.model_servers.proxies import proxy_for

__all__ = ["Connections"]

# vLLM closes a connection that was idle for 5 s; a request that meets that moment would be lost.
_IDLE_SECONDS: Final = 3.0


class Connections:
    """Kept open between requests, for one event loop. Close it in the end.

    httpcore's connections are used without its pool, which looks at each of its connections several times a
    request: with 64 of them that made 10.9 ms of CPU a request instead of 2.3. They are used without httpx
    too: cookies, redirects and authentication are not wanted here.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        _silence_libraries()
        self._environment = environment
        self._backend = AsyncioBackend()
        self._ways: dict[str, httpcore.AsyncConnectionPool] = {}
        self._all: set[httpcore.AsyncConnectionInterface] = set()
        self._idle: dict[str, list[httpcore.AsyncConnectionInterface]] = {}

    @asynccontextmanager
    async def response(self, endpoint: str, request: httpcore.Request) -> AsyncIterator[httpcore.Response]:
        """The response to a request, of which the body is still to be read; over a connection of its own.

        Raises:
            httpcore.TimeoutException: the server took too long.
            httpcore.NetworkError: no response came.
            httpcore.ProtocolError: what came is none; a proxy's refusal (``ProxyError``) is told apart.
            httpcore.ProxyError: the proxy refuses.
            SettingsError: there is no safe way to the endpoint.
        """
        connection = await self._take(endpoint, request.url.origin)
        try:
            response = await connection.handle_async_request(request)
            try:
                yield response
            finally:
                await response.aclose()
        finally:
            if connection.is_idle() and not (connection.has_expired() or _holds_more(connection)):
                self._idle.setdefault(endpoint, []).append(connection)
            else:
                await self._drop(connection)

    async def close(self) -> None:
        """Closes all of them."""
        await asyncio.gather(*map(self._drop, list(self._all)))
        # The event loop closes a socket in its next turn.
        await asyncio.sleep(0)

    async def _take(self, endpoint: str, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        """One that nobody uses: the one used last, unless it has been idle for too long, or a new one."""
        idle = self._idle.get(endpoint, [])
        while idle:
            connection = idle.pop()
            if not connection.has_expired():
                return connection
            await self._drop(connection)
        if (way := self._ways.get(endpoint)) is None:
            tls = self._tls if origin.scheme == b"https" else None
            way = self._ways[endpoint] = self._way(proxy_for(endpoint, self._environment), tls)
        connection = way.create_connection(origin)
        self._all.add(connection)
        return connection

    async def _drop(self, connection: httpcore.AsyncConnectionInterface) -> None:
        self._all.discard(connection)
        await connection.aclose()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Whose certificates are taken; they are read when they are needed, which takes some 30 ms."""
        return httpx.create_ssl_context()

    def _way(self, proxy: str | None, tls: ssl.SSLContext | None) -> httpcore.AsyncConnectionPool:
        """What makes connections; it keeps none itself."""
        if proxy is None:
            return httpcore.AsyncConnectionPool(
                tls, keepalive_expiry=_IDLE_SECONDS, network_backend=self._backend
            )
        # Which takes name and password out of the address.
        read = httpx.Proxy(proxy)
        return httpcore.AsyncHTTPProxy(
            str(read.url),
            proxy_auth=read.raw_auth,
            ssl_context=tls,
            keepalive_expiry=_IDLE_SECONDS,
            network_backend=self._backend,
        )


def _holds_more(connection: object) -> bool:
    """Whether bytes came behind the end of a reply.

    h11 keeps them and reads them as the reply to the next request: after one reply that was sent twice, each
    page would get the answer of the page before. No public member of httpcore 1.0 tells of them.
    """
    # A connection wraps the one that speaks HTTP/1.1, through a proxy twice.
    inner = getattr(connection, "_connection", None)
    if inner is not None:
        return _holds_more(inner)
    trailing: tuple[bytes, bool] = getattr(
        getattr(connection, "_h11_state", None), "trailing_data", (b"", False)
    )
    return bool(trailing[0])


def _silence_libraries() -> None:
    """Below WARNING the libraries log what a server says: its reason phrase may repeat a page."""
    for name in ("httpx", "httpcore"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))
