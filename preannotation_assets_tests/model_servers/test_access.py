"""Who is told which secret."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.access import access_headers, key_headers
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.openai.server import OpenAIServer

TOKEN = {"CF_ACCESS_CLIENT_ID": "id", "CF_ACCESS_CLIENT_SECRET": "hunter2"}
KEY = {"PREANNOTATION_SERVER_API_KEY": "hunter3"}
TOKEN_HEADERS = {"CF-Access-Client-Id": "id", "CF-Access-Client-Secret": "hunter2"}
KEY_HEADERS = {"Authorization": "Bearer hunter3"}
PUBLIC = "https://gpu.example.com"
HOSTS = st.sampled_from(
    [
        "127.0.0.1",
        "localhost",
        "10.0.0.7",
        "dgx",
        "dgx.local",
        "gpu.example.com",
        "8.8.8.8",
        "[::1]",
        "evil.org",
    ]
)
ENDPOINTS = st.builds(
    "{}://{}{}".format, st.sampled_from(["http", "https"]), HOSTS, st.sampled_from(["", ":8000"])
)


def test_both_kinds_of_servers_give_what_the_rules_allow() -> None:
    environment = {
        **TOKEN,
        **KEY,
        "PREANNOTATION_SERVER_URLS": PUBLIC,
        "OLLAMA_HOST": "https://ollama.example.com",
    }
    assert OpenAIServer().headers_for(PUBLIC, environment) == TOKEN_HEADERS | KEY_HEADERS
    assert OllamaServer().headers_for("https://ollama.example.com", environment) == TOKEN_HEADERS
    assert OllamaServer().headers_for(PUBLIC, environment) == TOKEN_HEADERS
    assert OpenAIServer().headers_for("https://ollama.example.com", environment) == TOKEN_HEADERS


@pytest.mark.parametrize(
    "variable", ["OLLAMA_HOST", "PREANNOTATION_OLLAMA_ENDPOINTS", "PREANNOTATION_SERVER_URLS"]
)
def test_the_token_goes_to_endpoints_that_a_variable_names(variable: str) -> None:
    environment = {**TOKEN, variable: f"https://other.example.com, {PUBLIC}/"}
    assert access_headers(PUBLIC, environment) == TOKEN_HEADERS
    assert access_headers(f"{PUBLIC}:443", environment) == TOKEN_HEADERS
    assert access_headers("https://evil.org", environment) == {}
    assert access_headers(f"{PUBLIC}:8443", environment) == {}
    assert access_headers(f"{PUBLIC}.evil.org", environment) == {}
    assert access_headers(PUBLIC, TOKEN) == {}


def test_the_token_goes_in_clear_within_this_machine_only() -> None:
    for endpoint, headers in (
        ("http://127.0.0.1:9", TOKEN_HEADERS),
        ("http://dgx:9", {}),
        ("http://10.0.0.7:9", {}),
        ("http://dgx.tailnet.ts.net:9", {}),
        ("http://gpu.example.com:9", {}),
    ):
        environment = {**TOKEN, "OLLAMA_HOST": endpoint, "PREANNOTATION_PRIVATE_HOSTS": "gpu.example.com"}
        assert access_headers(endpoint, environment) == headers


def test_the_key_goes_to_private_networks_in_clear_and_to_public_addresses_over_https_only() -> None:
    for endpoint, headers in (
        ("http://127.0.0.1:9", KEY_HEADERS),
        ("http://dgx:9", KEY_HEADERS),
        ("http://10.0.0.7:9", KEY_HEADERS),
        (PUBLIC, KEY_HEADERS),
        ("http://gpu.example.com:9", {}),
    ):
        assert key_headers(endpoint, {**KEY, "PREANNOTATION_SERVER_URLS": f"{endpoint}/v1"}) == headers


def test_the_key_is_for_the_servers_of_its_own_variable() -> None:
    assert key_headers(PUBLIC, {**KEY, "OLLAMA_HOST": PUBLIC}) == {}
    assert key_headers("http://127.0.0.1:8000", KEY) == KEY_HEADERS
    assert key_headers("http://127.0.0.1:8000", {**KEY, "PREANNOTATION_SERVER_URLS": PUBLIC}) == {}


@given(ENDPOINTS, st.lists(ENDPOINTS, max_size=3), st.lists(ENDPOINTS, max_size=3))
def test_nobody_who_is_not_named_and_no_line_in_clear_gets_a_secret(
    endpoint: str, ollama: list[str], openai: list[str]
) -> None:
    environment = {
        **TOKEN, **KEY, "OLLAMA_HOST": ",".join(ollama), "PREANNOTATION_SERVER_URLS": ",".join(openai)
    }  # fmt: skip
    headers = OpenAIServer().headers_for(endpoint, environment)
    this_machine = ("http://127.0.0.1", "http://localhost", "http://[::1]")
    is_named = endpoint in {*ollama, *openai, "http://127.0.0.1:8000"}
    if "CF-Access-Client-Secret" in headers:
        assert is_named
        assert endpoint.startswith(("https://", *this_machine))
    if "Authorization" in headers:
        assert is_named
        assert endpoint.startswith(("https://", *this_machine, "http://10.", "http://dgx"))


def test_half_a_service_token_is_none_and_white_space_around_it_is_nothing() -> None:
    named: dict[str, Any] = {"OLLAMA_HOST": PUBLIC}
    assert access_headers(PUBLIC, {**named, "CF_ACCESS_CLIENT_ID": "id", "CF_ACCESS_CLIENT_SECRET": ""}) == {}
    assert access_headers(PUBLIC, {**named, **TOKEN, "CF_ACCESS_CLIENT_SECRET": "hunter2\n"}) == TOKEN_HEADERS


@pytest.mark.parametrize("variable", ["OLLAMA_HOST", "PREANNOTATION_SERVER_URLS"])
def test_addresses_of_the_other_kind_are_not_read_where_there_is_no_secret_for_them(variable: str) -> None:
    malformed = {variable: "https://user:hunter2@gpu.example.com:port"}
    assert OllamaServer().headers_for(PUBLIC, malformed) == {}
    assert OpenAIServer().headers_for(PUBLIC, malformed) == {}
    # Nor where a secret would go in clear.
    assert access_headers("http://gpu.example.com", {**TOKEN, **malformed}) == {}
    with pytest.raises(SettingsError):
        access_headers(PUBLIC, {**TOKEN, **malformed})


@pytest.mark.parametrize("odd", ["hunter2é", "hunt\ner2", "hunt er2", "hunter2\x7f", "hunter2\nX-Other: 1"])
@pytest.mark.parametrize("variable", [*TOKEN, *KEY])
def test_a_secret_that_no_header_can_carry_is_refused_and_not_repeated(variable: str, odd: str) -> None:
    environment = {**TOKEN, **KEY, "PREANNOTATION_SERVER_URLS": PUBLIC, variable: odd}
    with pytest.raises(SettingsError, match=variable) as raised:
        OpenAIServer().headers_for(PUBLIC, environment)
    assert "hunt" not in repr(raised.value)
