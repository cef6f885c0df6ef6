"""Connections to model servers, each for one request at a time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import httpx

from preannotation_assets.model_servers.proxies import proxy_for

__all__ = ["Connections"]

# vLLM closes a connection that was idle for 5 s; a request that meets that moment would be lost.
_IDLE_SECONDS: Final = 3.0


class Connections:
    """Kept open between requests, for one event loop. Close it in the end.

    httpx' transports are used without its client: cookies, redirects and authentication are not wanted here.
    A transport for all would look at each of its connections several times a request: with 64 of them that
    made 10.9 ms of CPU a request instead of 2.3.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        _silence_libraries()
        self._environment = environment
        self._tls = httpx.create_ssl_context()
        self._all: list[httpx.AsyncHTTPTransport] = []
        self._idle: dict[str, list[httpx.AsyncHTTPTransport]] = {}

    @asynccontextmanager
    async def response(self, endpoint: str, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        """The response to a request, of which the body is still to be read; over a connection of its own.

        Raises:
            httpx.HTTPError: no response came.
            SettingsError: there is no safe way to the endpoint.
        """
        idle = self._idle.setdefault(endpoint, [])
        connection = idle.pop() if idle else self._new(endpoint)
        try:
            response = await connection.handle_async_request(request)
            try:
                yield response
            finally:
                await response.aclose()
        finally:
            if _holds_more(connection):
                self._all.remove(connection)
                await connection.aclose()
            else:
                idle.append(connection)

    async def close(self) -> None:
        """Closes all of them."""
        await asyncio.gather(*(connection.aclose() for connection in self._all))

    def _new(self, endpoint: str) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_IDLE_SECONDS)
        connection = httpx.AsyncHTTPTransport(
            verify=self._tls, limits=limits, proxy=proxy_for(endpoint, self._environment)
        )
        self._all.append(connection)
        return connection


def _holds_more(transport: httpx.AsyncHTTPTransport) -> bool:
    """Whether bytes came behind the end of a reply.

    h11 keeps them and reads them as the reply to the next request: after one reply that was sent twice, each
    page would get the answer of the page before. No public member of httpcore 1.0 tells of them.
    """
    pool = getattr(transport, "_pool", None)
    return any(map(_left_over, getattr(pool, "connections", ())))


def _left_over(connection: object) -> bytes:
    # A pooled connection wraps the one that speaks HTTP/1.1, through a proxy twice.
    inner = getattr(connection, "_connection", None)
    if inner is not None:
        return _left_over(inner)
    trailing: tuple[bytes, bool] = getattr(
        getattr(connection, "_h11_state", None), "trailing_data", (b"", False)
    )
    return trailing[0]


def _silence_libraries() -> None:
    """Below WARNING the libraries log what a server says: its reason phrase may repeat a page."""
    for name in ("httpx", "httpcore"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))
