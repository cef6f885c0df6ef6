"""What is read from Ollama's figures before the first request; exchanges as 0.33 gives them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from preannotation_assets.errors import EndpointError, ModelError, SettingsError
from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.server import Fetch
from preannotation_assets.model_servers.template import RequestTemplate

OLLAMA = OllamaServer()
ENDPOINT = "http://gpu:11434"
ENTRY = {"name": "llama3.3:70b", "model": "llama3.3:70b", "digest": "b" * 64}


def _fetch(replies: Mapping[str, object]) -> Fetch:
    def fetch(request: HttpRequest) -> Exchange:
        body = replies.get(request.path)
        status, content = (404, b"404 page not found") if body is None else (200, json.dumps(body).encode())
        return Exchange(ENDPOINT, 0.0, 0.0, None, status, {"content-type": "application/json"}, content)

    return fetch


def _tags(**more: Any) -> Fetch:
    return _fetch({"/api/version": {"version": "0.33.1"}, "/api/tags": {"models": [{**ENTRY, **more}]}})


def _look(template: RequestTemplate, fetch: Fetch) -> None:
    request = OLLAMA.loaded_request()
    assert request
    OLLAMA.check_loaded(fetch(request), template)


def test_the_context_of_the_model_is_known_before_it_is_loaded() -> None:
    trained = _tags(details={"family": "llama", "context_length": 8192})
    assert OLLAMA.identify(ENDPOINT, "llama3.3:70b", trained).context_tokens == 8192
    for unknown in ({}, {"details": None}, {"details": {"context_length": 0}}, {"details": {"family": "x"}}):
        assert OLLAMA.identify(ENDPOINT, "llama3.3:70b", _tags(**unknown)).context_tokens is None


def test_a_name_of_the_own_for_a_cloud_model_is_refused() -> None:
    stub = _tags(remote_host="https://ollama.com:443", remote_model="gpt-oss:120b")
    with pytest.raises(ModelError, match="confidential"):
        OLLAMA.identify(ENDPOINT, "llama3.3:70b", stub)


def test_a_missing_model_is_told_in_one_line_with_one_colon() -> None:
    with pytest.raises(ModelError) as raised:
        OLLAMA.identify(ENDPOINT, "smol-go", _tags())
    assert str(raised.value) == f"{ENDPOINT} has no model smol-go: run ollama pull smol-go"


@pytest.mark.parametrize("served", [8192, 4096, None])
def test_a_context_that_was_not_cut_is_good(template: RequestTemplate, served: int | None) -> None:
    entry = ENTRY if served is None else {**ENTRY, "context_length": served}
    _look(template, _fetch({"/api/ps": {"models": [entry]}}))


def test_no_word_about_the_loaded_model_is_no_error(template: RequestTemplate) -> None:
    _look(template, _fetch({}))
    _look(template, _fetch({"/api/ps": [1]}))


def test_a_context_that_ollama_cut_stops_with_the_value_to_set(template: RequestTemplate) -> None:
    cut = _fetch({"/api/ps": {"models": [{**ENTRY, "context_length": 2048}]}})
    with pytest.raises(
        SettingsError, match=r"num_ctx is 4096, .*2048 tokens: set PREANNOTATION_NUM_CTX=2048"
    ):
        _look(template, cut)


@pytest.mark.parametrize("version", ["0.33.0", "0.33.0-rc1", "0.0.0", "0.12.6+a.1"])
def test_a_version_is_shown_as_it_is(version: str) -> None:
    fetch = _fetch({"/api/version": {"version": version}, "/api/tags": {"models": [ENTRY]}})
    assert OLLAMA.identify(ENDPOINT, "llama3.3:70b", fetch).version == version


def test_a_version_that_is_too_old_is_told() -> None:
    fetch = _fetch({"/api/version": {"version": "0.1.9"}})
    with pytest.raises(EndpointError, match=r"runs Ollama 0\.1\.9, which"):
        OLLAMA.identify(ENDPOINT, "llama3.3:70b", fetch)


@pytest.mark.parametrize(
    "version", ["0.33.0\x1b]0;title\x07\n0 failed", "0.33.0 \u202eabc", "9" * 5000, "0.33.0 M/V ORION", "", 1]
)
def test_what_is_no_version_is_told_and_not_repeated(version: object) -> None:
    fetch = _fetch({"/api/version": {"version": version}})
    with pytest.raises(EndpointError) as raised:
        OLLAMA.identify(ENDPOINT, "llama3.3:70b", fetch)
    assert str(raised.value) == f"{ENDPOINT} does not say which Ollama it is: is it an Ollama server?"


@pytest.mark.parametrize("digest", ["the words of a page, at length", "", None, ["a" * 64]])
def test_a_digest_that_is_none_is_told_and_not_repeated(digest: object) -> None:
    with pytest.raises(ModelError, match="gives no digest") as raised:
        OLLAMA.identify(ENDPOINT, "llama3.3:70b", _tags(digest=digest))
    assert "words" not in str(raised.value)


def test_a_digest_that_is_none_says_during_the_run_that_nothing_is_known() -> None:
    exchange = _tags(digest="the words of a page, at length")(HttpRequest("GET", "/api/tags"))
    assert OLLAMA.read_digest(exchange, "llama3.3:70b") is None
