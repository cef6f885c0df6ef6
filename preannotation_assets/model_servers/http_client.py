"""One chat request over HTTP, with every time-out explicit and no redirect followed."""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

import httpx

from preannotation_assets.model_servers.ollama.wire import RequestTemplate, join_stream, parse_reply
from preannotation_assets.model_servers.outcomes import (
    Outcome,
    Reason,
    Unavailable,
    judge_error,
    judge_reply,
)

__all__ = [
    "ChatClient",
    "Exchange",
    "Timeouts",
    "access_headers",
    "find_digest",
    "judge_exchange",
    "wants_stream",
]

_OK: Final = 200
_JSON: Final = "application/json"
_NDJSON: Final = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time-outs in seconds.

    ``first_token`` bounds the wait for an answer to begin: the server's queue, a reload of the model and
    the reading of the prompt. Without streaming it bounds the whole answer, because Ollama then sends
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


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came back, unread; ``lost`` where nothing whole did.

    ``seconds`` is the time from sending to the last byte. ``began_at`` is seconds since the Unix epoch.
    """

    endpoint: str
    began_at: float
    seconds: float
    lost: Reason | None
    status: int = 0
    headers: Mapping[str, str] | None = None
    content: bytes = b""

    @property
    def is_reply(self) -> bool:
        """Whether Ollama answered the request; what it answered is to be judged."""
        return self.status == _OK and self.content_type in {_JSON, _NDJSON}

    @property
    def content_type(self) -> str:
        """The media type without parameters."""
        return (self.headers or {}).get("content-type", "").split(";")[0].strip()


def access_headers(environment: Mapping[str, str]) -> dict[str, str]:
    """The service-token headers of Cloudflare Access, where both variables are set."""
    client_id = environment.get("CF_ACCESS_CLIENT_ID", "")
    secret = environment.get("CF_ACCESS_CLIENT_SECRET", "")
    return (
        {"CF-Access-Client-Id": client_id, "CF-Access-Client-Secret": secret} if client_id and secret else {}
    )


def wants_stream(choice: str, endpoint: str) -> bool:
    """Whether to stream: ``auto`` streams over https.

    An edge such as Cloudflare gives up with 524 after 100 s without response headers, and Ollama sends
    headers with the first token; an answer that is not streamed has them with its last.
    """
    return choice == "always" or (choice == "auto" and endpoint.startswith("https://"))


class ChatClient:
    """Sends chat requests; one for each event loop. Use it as an asynchronous context manager."""

    def __init__(self, timeouts: Timeouts, headers: Mapping[str, str], stream: str) -> None:
        self._timeouts = timeouts
        self._stream = stream
        self._headers = {**headers, "Content-Type": "application/json"}
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
        body = template.body(chunk_text, stream=stream, variation=variation)
        began_at, began = time.time(), time.monotonic()
        try:
            async with asyncio.timeout(total_seconds):
                response, content = await self._post(endpoint, json.dumps(body).encode())
        except (httpx.ConnectTimeout, httpx.ConnectError):
            lost = Reason.UNREACHABLE
        except (httpx.TimeoutException, TimeoutError):
            lost = Reason.TIMED_OUT
        except httpx.HTTPError:
            lost = Reason.CONNECTION_LOST
        else:
            seconds = time.monotonic() - began
            return Exchange(
                endpoint, began_at, seconds, None, response.status_code, response.headers, content
            )
        return Exchange(endpoint, began_at, time.monotonic() - began, lost)

    async def digest(self, endpoint: str, template: RequestTemplate) -> str | None:
        """The digest that the endpoint has for the model by now; None where it does not say."""
        try:
            async with asyncio.timeout(self._timeouts.connect + self._timeouts.write):
                with self._connection(endpoint) as client:
                    response = await client.get(f"{endpoint}/api/tags")
        except (httpx.HTTPError, TimeoutError):
            return None
        payload = _load_object(response.content) if response.status_code == _OK else None
        return find_digest(payload, template.model) if payload else None

    async def _post(self, endpoint: str, body: bytes) -> tuple[httpx.Response, bytes]:
        """The response and its content; an inner time-out bounds every silence."""
        received: list[bytes] = []
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._timeouts.first_token) as silence:
            with self._connection(endpoint) as client:
                async with client.stream("POST", f"{endpoint}/api/chat", content=body) as response:
                    async for part in response.aiter_bytes():
                        received.append(part)
                        silence.reschedule(loop.time() + self._timeouts.between_tokens)
                    return response, b"".join(received)

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
            # Silence and length of an answer are bounded by `_post`, which tells the first token from others.
            timeout=httpx.Timeout(
                connect=self._timeouts.connect,
                read=None,
                write=self._timeouts.write,
                pool=self._timeouts.pool,
            ),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
        )
        self._all.append(client)
        return client


def judge_exchange(exchange: Exchange, model: str) -> Outcome:
    """What an exchange means. For a reply it costs a millisecond: give the permit back before."""
    if exchange.lost is not None:
        return Unavailable(exchange.lost)
    if not exchange.is_reply:
        headers = exchange.headers or {}
        return judge_error(exchange.endpoint, model, exchange.status, headers, exchange.content)
    if exchange.content_type == _NDJSON:
        return _judge_stream(exchange.content)
    payload = _load_object(exchange.content)
    return judge_reply(parse_reply(payload) if payload is not None else None)


def find_digest(payload: Mapping[str, object], model: str) -> str | None:
    """A model's digest in the reply of ``/api/tags``, in hexadecimal; None where the model is not in it."""
    models = payload.get("models")
    wanted = {model, model if ":" in model.rsplit("/", 1)[-1] else f"{model}:latest"}
    for entry in models if isinstance(models, list) else []:
        if isinstance(entry, dict) and wanted & {entry.get("name"), entry.get("model")}:
            digest = entry.get("digest")
            return digest.removeprefix("sha256:") if isinstance(digest, str) else ""
    return None


def _judge_stream(content: bytes) -> Outcome:
    """Reads NDJSON; an error of the runner arrives as a last line under status 200."""
    objects: list[dict[str, object]] = []
    for line in content.splitlines():
        payload = _load_object(line)
        if payload is None or "error" in payload:
            return Unavailable(Reason.SERVER_ERROR)
        objects.append(payload)
    return judge_reply(parse_reply(join_stream(objects)))


def _load_object(content: bytes) -> dict[str, object] | None:
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None
