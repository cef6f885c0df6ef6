"""One chat request over HTTP, with every time-out explicit and no redirect followed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import httpx

from preannotation_assets.inference.outcomes import (
    Outcome,
    Reason,
    Unavailable,
    judge_error,
    judge_reply,
)
from preannotation_assets.inference.protocol import RequestTemplate, join_stream, parse_reply

__all__ = ["Attempt", "ChatClient", "Timeouts", "access_headers", "wants_stream"]

_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time-outs in seconds. ``read`` bounds the silence while an answer is awaited.

    Ollama sends nothing before the first token, and without streaming nothing before the last, so
    ``read`` must allow for a whole answer and the wait in the server's queue before it.
    """

    connect: float = 10.0
    read: float = 900.0
    write: float = 60.0
    pool: float = 10.0
    load: float = 1800.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request and what became of it."""

    endpoint: str
    outcome: Outcome


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

    def __init__(self, timeouts: Timeouts, headers: Mapping[str, str], stream: str, connections: int) -> None:
        self._stream = stream
        self._client = httpx.AsyncClient(
            headers=dict(headers),
            follow_redirects=False,
            timeout=httpx.Timeout(
                connect=timeouts.connect, read=timeouts.read, write=timeouts.write, pool=timeouts.pool
            ),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._client.aclose()

    async def ask(self, endpoint: str, template: RequestTemplate, chunk_text: str, variation: int) -> Attempt:
        """Asks about one chunk. Never raises for what a server or a network does."""
        stream = wants_stream(self._stream, endpoint)
        body = template.body(chunk_text, stream=stream, variation=variation)
        try:
            async with self._client.stream("POST", f"{endpoint}/api/chat", json=body) as response:
                outcome = await _read_outcome(response, endpoint, template.model)
        except httpx.ConnectError:
            outcome = Unavailable(Reason.UNREACHABLE)
        except httpx.TimeoutException:
            outcome = Unavailable(Reason.TIMED_OUT)
        except httpx.TransportError:
            outcome = Unavailable(Reason.CONNECTION_LOST)
        return Attempt(endpoint, outcome)


async def _read_outcome(response: httpx.Response, endpoint: str, model: str) -> Outcome:
    content_type = response.headers.get("content-type", "").split(";")[0].strip()
    if response.status_code == _OK and content_type == "application/x-ndjson":
        return await _read_stream(response)
    content = await response.aread()
    if response.status_code != _OK or content_type != "application/json":
        return judge_error(endpoint, model, response.status_code, response.headers, content)
    payload = _load_object(content)
    return judge_reply(parse_reply(payload) if payload is not None else None)


async def _read_stream(response: httpx.Response) -> Outcome:
    """Reads NDJSON; an error of the runner arrives as a last line under status 200."""
    objects: list[dict[str, object]] = []
    async for line in response.aiter_lines():
        payload = _load_object(line)
        if payload is None or "error" in payload:
            return Unavailable(Reason.SERVER_ERROR)
        objects.append(payload)
    return judge_reply(parse_reply(join_stream(objects)))


def _load_object(content: bytes | str) -> dict[str, object] | None:
    try:
        payload = json.loads(content)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None
