"""Connections as httpcore uses them: encrypted, through a proxy, broken, and slower than their server."""

import asyncio
import base64
import datetime
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from socket import AddressFamily, socket

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.exchanging import Bounds, Exchanger
from preannotation_assets.model_servers.network_streams import AsyncioBackend
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.outcomes import Reason

HOST = "models.example"
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
BOUNDS = Bounds.of_small_reply(30.0)
Attend = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def _listening(attend: Attend, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async with await asyncio.start_server(attend, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1]


def _certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for HOST that signs itself, and a server's side with it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted, private = folder / "certificate.pem", folder / "key.pem"
    trusted.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(trusted, private)
    return trusted, tls


async def _through_proxy(tls: ssl.SSLContext, status: bytes, heads: list[bytes]) -> list[Exchange]:
    """Two requests to HOST through a proxy that answers CONNECT so; what proxy and server were sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            heads.append(head)
            writer.write(REPLY)
        writer.close()

    async with _listening(serve, tls) as behind:

        async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await _head(reader))
            writer.write(b"HTTP/1.1 " + status + b"\r\n\r\n")
            if status.startswith(b"200"):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", behind)
                await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))
            writer.close()

        async with _listening(connect) as proxy:
            environment = {"HTTPS_PROXY": f"http://ada:secret@127.0.0.1:{proxy}"}
            return await _ask_twice(f"https://{HOST}", environment)


async def _ask_twice(endpoint: str, environment: Mapping[str, str]) -> list[Exchange]:
    async with Exchanger(OllamaServer(), environment, 10.0) as exchanger:
        request = HttpRequest("GET", "/api/tags")
        return [await exchanger.exchange(endpoint, request, BOUNDS) for _ in range(2)]


@contextmanager
def _deaf(address: str, port: int) -> Iterator[None]:
    """An address that answers no further attempt: two connections that nobody accepts are all it takes."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket())
        listening.bind((address, port))
        listening.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(socket())
            waiting.setblocking(False)
            waiting.connect_ex((address, port))
        yield


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
    except ConnectionError:
        pass
    writer.close()


def test_a_proxy_sees_the_name_and_its_own_password_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, tls = _certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    heads: list[bytes] = []

    exchanges = asyncio.run(_through_proxy(tls, b"200 OK", heads))

    assert [(exchange.lost, exchange.content) for exchange in exchanges] == [(None, b"{}")] * 2
    connect, *requests = heads
    assert connect.startswith(b"CONNECT models.example:443 HTTP/1.1\r\n")
    assert b"Basic " + base64.b64encode(b"ada:secret") in connect
    # Both over the one connection, and the password stays with the proxy.
    assert [request.split(b"\r\n")[0] for request in requests] == [b"GET /api/tags HTTP/1.1"] * 2
    assert all(b"Host: models.example\r\n" in request and b"Basic" not in request for request in requests)


def test_a_proxy_that_refuses_is_no_answer(tmp_path: Path) -> None:
    _, tls = _certificate(tmp_path)
    exchanges = asyncio.run(_through_proxy(tls, b"407 Proxy Authentication Required", []))
    assert [exchange.lost for exchange in exchanges] == [Reason.CONNECTION_LOST] * 2


def test_a_certificate_that_nobody_vouches_for_is_not_spoken_to(tmp_path: Path) -> None:
    _, tls = _certificate(tmp_path)
    heads: list[bytes] = []
    exchanges = asyncio.run(_through_proxy(tls, b"200 OK", heads))
    assert [exchange.lost for exchange in exchanges] == [Reason.UNREACHABLE] * 2
    assert all(head.startswith(b"CONNECT") for head in heads)


def test_head_and_body_go_out_together() -> None:
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.read(65_536))
        writer.write(REPLY)
        writer.close()

    async def main() -> None:
        async with _listening(serve) as port, Exchanger(OllamaServer(), {}, 10.0) as exchanger:
            request = HttpRequest("POST", "/api/chat", {"page": "text"})
            await exchanger.exchange(f"http://127.0.0.1:{port}", request, BOUNDS)

    asyncio.run(main())
    assert got[0].endswith(b'\r\n\r\n{"page": "text"}')


def test_a_connection_that_breaks_is_told_from_one_that_ends() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(1)
        writer.write(first)
        await writer.drain()
        await reader.readexactly(1)
        if first == b"b":
            writer.transport.get_extra_info("socket").setsockopt(
                # A linger of 0 s: the end is a reset.
                *(1, 13, b"\x01\0\0\0\0\0\0\0")
            )
        writer.close()

    async def last_reading(first: bytes) -> bytes:
        async with _listening(serve) as port:
            stream = await AsyncioBackend().connect_tcp("127.0.0.1", port)
            await stream.write(first)
            assert await stream.read(10) == first
            await stream.write(b"x")
            try:
                return await stream.read(10)
            finally:
                await stream.aclose()

    assert asyncio.run(last_reading(b"a")) == b""
    with pytest.raises(httpcore.ReadError):
        asyncio.run(last_reading(b"b"))


def test_a_reader_that_is_slow_holds_its_server_up_and_loses_nothing() -> None:
    whole = bytes(range(256)) * 16_384
    written = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        for start in range(0, len(whole), 65_536):
            writer.write(whole[start : start + 65_536])
            await writer.drain()
            written = start + 65_536
        writer.close()

    async def main() -> bytes:
        async with _listening(serve) as port:
            stream = await AsyncioBackend().connect_tcp("127.0.0.1", port)
            parts = [await stream.read(1_000)]
            while part := await stream.read(65_536):
                parts.append(part)
                assert len(part) <= 65_536
            await stream.aclose()
            return b"".join(parts)

    assert asyncio.run(main()) == whole


def test_an_address_that_does_not_answer_does_not_keep_from_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here")
        writer.close()

    async def main() -> bytes:
        async with _listening(serve) as port:
            with _deaf("127.0.0.2", port):
                loop = asyncio.get_running_loop()
                found = [(AddressFamily.AF_INET, 1, 6, "", (f"127.0.0.{each}", port)) for each in (2, 1)]

                async def addresses(*_: object, **__: object) -> list[object]:
                    return list(found)

                monkeypatch.setattr(loop, "getaddrinfo", addresses)
                # A deaf address would keep it until the time is over.
                stream = await AsyncioBackend().connect_tcp(HOST, port, timeout=60.0)
                try:
                    return await stream.read(10)
                finally:
                    await stream.aclose()

    assert asyncio.run(main()) == b"here"


def test_nobody_there_is_unreachable() -> None:
    async def main() -> None:
        async with _listening(lambda *_: asyncio.sleep(0)) as port:
            pass
        await AsyncioBackend().connect_tcp("127.0.0.1", port, timeout=10.0)

    with pytest.raises(httpcore.ConnectError):
        asyncio.run(main())
