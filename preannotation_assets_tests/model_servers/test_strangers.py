"""Where pages and secrets go, and how long and how much is waited for, with servers that are none of ours."""

import asyncio
import gzip
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest
from shared.strangers import (
    Answer,
    Stranger,
    answering,
    by_path,
    dripping_body,
    dripping_head,
    endless,
    strangers,
)

from preannotation_assets.errors import EndpointError, InferenceError, SettingsError
from preannotation_assets.extraction.prompt import Message, Prompt
from preannotation_assets.model_servers.exchanging import MOST_SMALL_REPLY_BYTES
from preannotation_assets.model_servers.http_client import ChatClient, Timeouts
from preannotation_assets.model_servers.load_watch import watched_load
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.model_servers.outcomes import Reason
from preannotation_assets.model_servers.preflight import identify_model
from preannotation_assets.model_servers.preloading import preload
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate

MODEL = "m:1b"
PAGE = "a page of qzxw words"
TEMPLATE = RequestTemplate(
    MODEL,
    "d" * 64,
    Prompt("v", "f" * 64, (Message("system", "S"),), {}, 30, frozenset()),
    ModelOptions(4096, 400),
)
SECRETS = {
    "CF_ACCESS_CLIENT_ID": "hunter1",
    "CF_ACCESS_CLIENT_SECRET": "hunter2",
    "PREANNOTATION_SERVER_API_KEY": "hunter3",
}
SHORT = Timeouts(connect=5.0, small=0.4, first_token=0.4, total=0.4, load=0.4)
IMPATIENT = RetryPolicy(attempts=1)
TAGS = json.dumps({"models": [{"name": MODEL, "digest": "a" * 64}]}).encode()
VERSION = answering(b'{"version": "0.33.0"}')
OLLAMA = by_path(
    {"/api/version": VERSION, "/api/tags": answering(TAGS), "/api/chat": answering(b'{"done": true}')}
)
BOMB = answering(gzip.compress(bytes(8 * 10**6)), "Content-Encoding: gzip")
NOBODY = answering(b"", status="502 Bad Gateway")
Start = Callable[[Answer], Stranger]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a stranger."""
    with strangers() as started:
        yield started


def ask(
    server: ModelServer, endpoint: str, environment: Mapping[str, str], timeouts: Timeouts
) -> list[object]:
    """What became of a page and a warm-up, and the digest by now."""

    async def main() -> list[object]:
        async with ChatClient(server, timeouts, environment, frozenset()) as client:
            sent = await client.send(endpoint, TEMPLATE, PAGE, 0, timeouts.total)
            warmed = await client.warm_up(endpoint, TEMPLATE, timeouts.total)
            return [sent.lost, warmed.lost if warmed else None, await client.digest(endpoint, TEMPLATE)]

    return asyncio.run(main())


def test_a_proxy_sees_nothing_of_what_goes_to_this_machine(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, server = start(NOBODY), start(OLLAMA)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    environment = {**SECRETS, "OLLAMA_HOST": server.url, "HTTP_PROXY": proxy.url, "ALL_PROXY": proxy.url}
    identify_model(OllamaServer(), [server.url], MODEL, environment, Timeouts(), IMPATIENT)
    preload(OllamaServer(), [server.url], TEMPLATE, environment, Timeouts(), IMPATIENT)
    ask(OllamaServer(), server.url, environment, Timeouts())
    with watched_load(OpenAIServer(), [server.url], environment, lambda *_: None, 0.01):
        while "GET /metrics" not in server.told():
            pass
    assert PAGE in server.told()
    assert "hunter2" in server.told()
    assert proxy.got == []


def test_a_proxy_on_the_way_to_a_public_server_sees_its_name_only(start: Start) -> None:
    proxy = start(NOBODY)
    public = "https://gpu.example.com"
    environment = {**SECRETS, "PREANNOTATION_SERVER_URLS": public, "HTTPS_PROXY": proxy.url}
    with pytest.raises(EndpointError, match=r"gpu\.example\.com"):
        identify_model(OpenAIServer(), [public], MODEL, environment, Timeouts(), IMPATIENT)
    ask(OpenAIServer(), public, environment, Timeouts())
    assert proxy.told().startswith("CONNECT gpu.example.com:443 HTTP/1.1")
    assert "hunter" not in proxy.told()
    assert "qzxw" not in proxy.told()


@pytest.mark.parametrize("public", ["http://203.0.113.7:11434", "http://gpu.example.com:11434"])
def test_plain_http_to_a_public_address_is_refused_before_anything_is_sent(start: Start, public: str) -> None:
    proxy, server = start(NOBODY), start(OLLAMA)
    environment = {**SECRETS, "HTTP_PROXY": proxy.url, "OLLAMA_HOST": f"{server.url},{public}"}
    with pytest.raises(SettingsError, match="plain http to a public address"):
        identify_model(OllamaServer(), [server.url, public], MODEL, environment, Timeouts(), IMPATIENT)
    with pytest.raises(SettingsError, match="plain http to a public address"):
        preload(OllamaServer(), [public], TEMPLATE, environment, Timeouts(), IMPATIENT)
    with pytest.raises(SettingsError, match="plain http to a public address"):
        ask(OllamaServer(), public, environment, Timeouts())
    assert (proxy.got, server.got) == ([], [])


@pytest.mark.parametrize("kind", [OllamaServer(), OpenAIServer()])
def test_a_stranger_gets_no_secret(start: Start, kind: ModelServer) -> None:
    stranger = start(by_path({"/v1/models": answering(b'{"data": [{"id": "m:1b", "owned_by": "vllm"}]}')}))
    environment = {
        **SECRETS,
        "OLLAMA_HOST": "http://127.0.0.1:1",
        "PREANNOTATION_SERVER_URLS": "https://a.org",
    }
    with pytest.raises(InferenceError):
        identify_model(kind, [stranger.url], MODEL, environment, Timeouts(), IMPATIENT)
    ask(kind, stranger.url, environment, Timeouts())
    with watched_load(OpenAIServer(), [stranger.url], environment, lambda *_: None, 0.01):
        while "GET /metrics" not in stranger.told():
            pass
    assert PAGE in stranger.told()
    assert "hunter" not in stranger.told()


@pytest.mark.parametrize("answer", [dripping_head, dripping_body])
@pytest.mark.parametrize("kind", [OllamaServer(), OpenAIServer()])
def test_a_byte_at_a_time_holds_nothing_up(start: Start, kind: ModelServer, answer: Answer) -> None:
    url = start(answer).url
    with pytest.raises(EndpointError, match="has not answered"):
        identify_model(kind, [url], MODEL, {}, SHORT, IMPATIENT)
    with pytest.raises(EndpointError, match=r"could not load .* in 1 attempts"):
        preload(OllamaServer(), [url], TEMPLATE, {}, SHORT, IMPATIENT)
    expected = [Reason.TIMED_OUT, Reason.TIMED_OUT if isinstance(kind, OpenAIServer) else None, None]
    assert ask(kind, url, {}, SHORT) == expected


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/version", "/metrics"])
def test_a_byte_at_a_time_behind_a_good_list_of_models_holds_nothing_up(start: Start, path: str) -> None:
    listed = answering(b'{"data": [{"id": "m:1b", "owned_by": "vllm"}]}')
    canary = answering(b'{"choices": [{"message": {"content": "{\\"tide_k7\\": \\"vq-5521\\"}"}}]}')
    answers = {"/v1/models": listed, "/v1/chat/completions": canary, path: dripping_body}
    url = start(by_path(answers)).url
    if path == "/v1/chat/completions":
        with pytest.raises(EndpointError, match=f"has not answered {path}"):
            identify_model(OpenAIServer(), [url], MODEL, {}, SHORT, IMPATIENT)
    else:
        assert identify_model(OpenAIServer(), [url], MODEL, {}, SHORT, IMPATIENT).digest


@pytest.mark.parametrize(("kind", "path"), [(OllamaServer(), "/api/version"), (OpenAIServer(), "/v1/models")])
def test_a_bomb_is_told_in_one_line(start: Start, kind: ModelServer, path: str) -> None:
    with pytest.raises(EndpointError, match=f"{path} with more than 4 MB") as raised:
        identify_model(kind, [start(BOMB).url], MODEL, {}, Timeouts(), IMPATIENT)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("path", ["/api/tags", "/api/chat", "/api/ps"])
def test_a_bomb_in_place_of_any_small_reply_is_left(start: Start, path: str) -> None:
    answers = {
        "/api/version": VERSION,
        "/api/tags": answering(TAGS),
        "/api/chat": answering(b"{}"),
        path: BOMB,
    }
    url = start(by_path(answers)).url
    with pytest.raises(EndpointError, match=f"{path} with more than 4 MB"):  # noqa: PT012
        identify_model(OllamaServer(), [url], MODEL, {}, Timeouts(), IMPATIENT)
        preload(OllamaServer(), [url], TEMPLATE, {}, Timeouts(), IMPATIENT)
    if path == "/api/tags":
        assert ask(OllamaServer(), url, {}, Timeouts())[2] is None


def test_of_a_reply_without_end_no_more_is_taken_than_any_needs(start: Start) -> None:
    stranger = start(endless)
    with pytest.raises(EndpointError, match="more than 4 MB"):
        identify_model(OllamaServer(), [stranger.url], MODEL, {}, Timeouts(), IMPATIENT)
    # What lies in the sockets' buffers comes on top.
    assert stranger.sent < 5 * MOST_SMALL_REPLY_BYTES


@pytest.mark.parametrize("answer", [BOMB, endless])
def test_metrics_that_are_none_are_asked_for_three_times(start: Start, answer: Answer) -> None:
    stranger = start(answer)
    with watched_load(OpenAIServer(), [stranger.url], {}, lambda *_: None, 0.01):
        while any(thread.name == "load-watch" for thread in threading.enumerate()):
            pass
    assert len(stranger.got) == 3


def test_with_one_server_that_cannot_load_the_others_are_not_waited_for(start: Start) -> None:
    refusing, loading = start(answering(b'{"error": "no"}', status="400 Bad Request")), start(dripping_head)
    with pytest.raises(EndpointError, match="status 400"):
        preload(OllamaServer(), [loading.url, refusing.url], TEMPLATE, {}, Timeouts(), IMPATIENT)
    assert not loading.ended.is_set()


def test_everything_is_asked_for_uncompressed(start: Start) -> None:
    server = start(OLLAMA)
    identify_model(OllamaServer(), [server.url], MODEL, {}, Timeouts(), IMPATIENT)
    preload(OllamaServer(), [server.url], TEMPLATE, {}, replace(Timeouts(), load=20.0), IMPATIENT)
    assert len(server.got) >= 3
    assert all("accept-encoding: identity" in request.lower() for request in server.got)


def test_nothing_that_a_server_says_is_logged_however_much_is(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server = start(answering(b'{"error": "qzxw"}', "X-Echo: qzxw", status="500 qzxw of the page"))
    for library in ("httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, library)
    with caplog.at_level(logging.DEBUG):
        ask(OllamaServer(), server.url, {}, Timeouts())
        with pytest.raises(EndpointError):
            identify_model(OllamaServer(), [server.url], MODEL, {}, Timeouts(), IMPATIENT)
    assert PAGE in server.told()
    assert "qzxw" not in caplog.text
