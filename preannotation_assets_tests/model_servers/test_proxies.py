"""Which proxy a request goes through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.proxies import proxy_for

PROXY = "http://proxy.example.com:3128"
EVERYWHERE = dict.fromkeys(
    ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), PROXY
)
PUBLIC = "https://ollama.example.com"


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:11434", "https://127.0.0.1", "http://localhost:8000", "http://[::1]:8000",
        "http://10.1.2.3:8000", "https://10.1.2.3", "http://dgx:8000", "https://dgx.local",
        "http://dgx.tailnet.ts.net:11434", "http://100.99.1.2:11434", "http://[fd00::1]:8000",
    ],
)  # fmt: skip
def test_no_proxy_sees_what_goes_to_this_machine_or_a_private_network(endpoint: str) -> None:
    assert proxy_for(endpoint, EVERYWHERE) is None


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_public_https_goes_through_the_proxy_that_the_environment_names(variable: str) -> None:
    assert proxy_for(PUBLIC, {variable: PROXY}) == PROXY
    assert proxy_for(PUBLIC, {variable: " proxy:3128 "}) == "http://proxy:3128"
    assert proxy_for(PUBLIC, {variable: ""}) is None


def test_the_proxy_for_plain_http_is_nobodys() -> None:
    assert proxy_for(PUBLIC, {"HTTP_PROXY": PROXY, "http_proxy": PROXY}) is None


def test_small_letters_and_the_own_scheme_count_first() -> None:
    assert proxy_for(PUBLIC, {"https_proxy": "http://a", "HTTPS_PROXY": "http://b"}) == "http://a"
    assert proxy_for(PUBLIC, {"ALL_PROXY": "http://a", "HTTPS_PROXY": "http://b"}) == "http://b"


@pytest.mark.parametrize(
    ("exceptions", "endpoint", "is_direct"),
    [
        ("*", PUBLIC, True),
        ("ollama.example.com", PUBLIC, True),
        ("OLLAMA.Example.com", PUBLIC, True),
        ("example.com", PUBLIC, True),
        (".example.com", PUBLIC, True),
        ("*.example.com", PUBLIC, True),
        ("a.org, example.com ,b.org", PUBLIC, True),
        ("ample.com", PUBLIC, False),
        ("example.com.evil.org", PUBLIC, False),
        ("example.com:443", PUBLIC, True),
        ("example.com:8443", PUBLIC, False),
        ("example.com:8443", "https://example.com:8443", True),
        (",. ,", PUBLIC, False),
        ("8.8.8.8", "https://8.8.8.8", True),
        ("8.8.0.0/16", "https://8.8.8.8", True),
        ("8.8.8.8:443", "https://8.8.8.8", True),
        ("8.8.8.8:80", "https://8.8.8.8", False),
        ("8.8.4.4", "https://8.8.8.8", False),
        (".8", "https://8.8.8.8", False),
        ("2001:4860::/32", "https://[2001:4860:4860::8888]", True),
        ("[2001:4860:4860:0::8888]:443", "https://[2001:4860:4860::8888]", True),
        ("::1", "https://[2001:4860:4860::8888]", False),
    ],
)
def test_no_proxy_is_respected(exceptions: str, endpoint: str, is_direct: bool) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        found = proxy_for(endpoint, {"HTTPS_PROXY": PROXY, variable: exceptions})
        assert found == (None if is_direct else PROXY)


@given(st.text(max_size=30), st.sampled_from([PUBLIC, "https://8.8.8.8", "https://[2001:db8::1]:8443"]))
def test_any_no_proxy_can_be_read(exceptions: str, endpoint: str) -> None:
    assert proxy_for(endpoint, {"HTTPS_PROXY": PROXY, "NO_PROXY": exceptions}) in (None, PROXY)


@pytest.mark.parametrize(
    "endpoint",
    ["http://8.8.8.8:11434", "http://ollama.example.com", "http://134744072", "http://[2001:db8::1]"],
)
def test_plain_http_to_a_public_address_is_refused_in_one_line(endpoint: str) -> None:
    for environment in ({}, EVERYWHERE, {"NO_PROXY": "*"}):
        with pytest.raises(SettingsError) as raised:
            proxy_for(endpoint, environment)
        assert "PREANNOTATION_PRIVATE_HOSTS=" in raised.value.cure
        assert "\n" not in str(raised.value)


def test_a_host_that_is_named_as_private_is_asked_without_encryption_and_without_a_proxy() -> None:
    named = {**EVERYWHERE, "PREANNOTATION_PRIVATE_HOSTS": "gpu.example.com"}
    assert proxy_for("http://gpu.example.com:8000", named) is None
    assert proxy_for("https://gpu.example.com", named) is None
    with pytest.raises(SettingsError):
        proxy_for("http://other.example.com:8000", named)


@pytest.mark.parametrize(
    "proxy", ["socks5://user:hunter2@p:1080", "ftp://hunter2", "http://", "http://hunter2:x"]
)
def test_a_proxy_that_cannot_be_used_is_refused_and_not_repeated(proxy: str) -> None:
    with pytest.raises(SettingsError, match="HTTPS_PROXY") as raised:
        proxy_for(PUBLIC, {"HTTPS_PROXY": proxy})
    assert "hunter2" not in str(raised.value)
    assert proxy_for(PUBLIC, {"HTTPS_PROXY": proxy, "NO_PROXY": "example.com"}) is None
