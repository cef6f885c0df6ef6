"""What is sent, and how little of what comes back is taken in."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from preannotation_assets.extraction.prompt import Message, Prompt
from preannotation_assets.model_servers.exchange import Exchange
from preannotation_assets.model_servers.http_client import ChatClient, Timeouts
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.outcomes import Outcome, Reason, Unavailable, Unusable
from preannotation_assets.model_servers.reply_body import MOST_REPLY_BYTES
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate

TEMPLATE = RequestTemplate(
    "m",
    "d" * 64,
    Prompt("v", "f" * 64, (Message("system", "S"),), {}, 30, frozenset()),
    ModelOptions(4096, 400),
)
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def _server(answer: Answer, requests: list[bytes]) -> AsyncIterator[str]:
    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-le")
        )
        requests.append(head + await reader.readexactly(length))
        try:
            await answer(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(attend, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _ask(answer: Answer, requests: list[bytes] | None = None) -> tuple[Exchange, Outcome]:
    async def main() -> tuple[Exchange, Outcome]:
        async with (
            _server(answer, [] if requests is None else requests) as endpoint,
            ChatClient(OllamaServer(), Timeouts(), {}, frozenset()) as client,
        ):
            exchange = await client.send(endpoint, TEMPLATE, "page", 0, 60.0)
            return exchange, client.read(exchange, TEMPLATE)

    return asyncio.run(main())


def _head(status: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("status", ["200 OK", "503 Service Unavailable"])
def test_a_small_body_that_would_fill_the_memory_is_left(status: str) -> None:
    bomb = gzip.compress(bytes(8 * MOST_REPLY_BYTES))

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(_head(status, "Content-Encoding: gzip", f"Content-Length: {len(bomb)}") + bomb)
        await writer.drain()

    exchange, outcome = _ask(answer)

    assert (exchange.unreadable, exchange.content) == (True, b"")
    expected = Unusable(Reason.INVALID_ANSWER) if status[0] == "2" else Unavailable(Reason.OVERLOADED)
    assert outcome == expected


def test_a_body_without_end_is_left() -> None:
    sent = 0

    async def answer(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(_head("200 OK"))
        while True:
            writer.write(b" " * 2**20)
            sent += 2**20
            await writer.drain()

    exchange, outcome = _ask(answer)

    assert outcome == Unusable(Reason.INVALID_ANSWER)
    assert exchange.given_up
    assert sent < 4 * MOST_REPLY_BYTES


def test_an_answer_that_a_proxy_deflated_all_the_same_is_read() -> None:
    reply = b'{"model":"m","message":{"content":"{\\"spans\\":[]}"},"done":true,"done_reason":"stop"}'

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(_head("200 OK", "Content-Encoding: gzip") + gzip.compress(reply))
        await writer.drain()

    exchange, _ = _ask(answer)

    assert exchange.content == reply


def test_a_request_asks_for_nothing_compressed_and_names_its_sender() -> None:
    requests: list[bytes] = []

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(_head("503 Service Unavailable", "Content-Length: 0"))
        await writer.drain()

    _ask(answer, requests)

    head = requests[0].split(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"post /api/chat http/1.1\r\nhost: 127.0.0.1:")
    assert b"\r\naccept-encoding: identity" in head
    assert b"\r\nuser-agent: preannotation-assets" in head
    assert b"\r\ncontent-type: application/json" in head


@pytest.mark.parametrize("behind", [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"\0", b"\r\n" * 3])
def test_what_comes_behind_a_reply_is_not_the_answer_to_the_next_request(behind: bytes) -> None:
    asked: list[int] = []

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head_of_request(reader):
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
            asked.append(len(asked) + 1)
            reply = b'{"number":%d}' % asked[-1]
            length = f"Content-Length: {len(reply)}"
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{length}\r\n\r\n".encode())
            writer.write(reply + (behind if len(asked) == 1 else b""))
        writer.close()

    async def main() -> list[bytes]:
        server = await asyncio.start_server(attend, "127.0.0.1", 0)
        endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, ChatClient(OllamaServer(), Timeouts(), {}, frozenset()) as client:
            return [(await client.send(endpoint, TEMPLATE, "page", 0, 60.0)).content for _ in range(3)]

    assert asyncio.run(main()) == [b'{"number":1}', b'{"number":2}', b'{"number":3}']


async def _head_of_request(reader: asyncio.StreamReader) -> bytes:
    """Empty where the client has closed the connection."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
