import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.addresses import OLLAMA
from preannotation_assets.settings import Settings


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("gpu", "http://gpu:11434"),
        ("gpu:8080", "http://gpu:8080"),
        ("http://gpu", "http://gpu"),
        ("http://gpu:11434/", "http://gpu:11434"),
        ("https://gpu.example.org", "https://gpu.example.org"),
        ("HTTPS://GPU.Example.org/ollama/", "https://gpu.example.org/ollama"),
        ("gpu/ollama", "http://gpu:11434/ollama"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        (":8080", "http://127.0.0.1:8080"),
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::1]:11434", "http://[::1]:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::]:8080", "http://[::1]:8080"),
        ("192.168.7.9", "http://192.168.7.9:11434"),
    ],
)
def test_the_forms_of_ollama_host(address: str, url: str) -> None:
    assert OLLAMA.parse(address) == url
    assert Settings.from_environment({"OLLAMA_HOST": address}).ollama.endpoints == [url]


@pytest.mark.parametrize(
    "address",
    [
        "ftp://gpu", "http://", "://gpu", "gpu:port", "gpu:0", "gpu:99999", "http://gpu:99999999", "[::1",
        "http://[::1", "gpu gpu", "http://gpu/a b", "http:gpu", "::1]:1", "http://[fe80::1%eth0]x:1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="http"):
        OLLAMA.parse(address)


@given(st.text(max_size=40))
def test_any_address_is_a_base_url_or_refused(address: str) -> None:
    try:
        url = OLLAMA.parse(address)
    except SettingsError:
        return
    else:
        assert url.startswith(("http://", "https://"))
        assert not url.endswith("/")
        assert OLLAMA.parse(url) == url
