"""Addresses of model servers, as users write them."""

import re
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from preannotation_assets.errors import SettingsError

__all__ = ["DEFAULT_ENDPOINT", "parse_endpoint"]

DEFAULT_ENDPOINT: Final = "http://127.0.0.1:11434"
"""What is asked where no endpoint is configured."""

_OLLAMA_PORT: Final = 11434
# A server binds to a wildcard address; a client cannot connect to one everywhere.
_LOOPBACK_FOR: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_HOST_AND_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]\\]*)(:\d{1,5})?")
_SPACE: Final = re.compile(r"\s")


def parse_endpoint(address: str) -> str:
    """An Ollama address as its users write it, as a base URL without a trailing slash.

    As in Ollama's own client: without a scheme the port is 11434, with ``http`` it is 80 and with
    ``https`` 443; the wildcard addresses a server binds to mean this machine.

    Raises:
        SettingsError: not an http(s) address, or it carries a user name, a password or parameters. The
            message does not repeat the address, which may hold a secret.
    """
    has_scheme = "://" in address
    shown = f"[{address}]" if _is_ipv6(address) else address
    parts = _split_address(shown if has_scheme else f"http://{shown}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            "an Ollama endpoint has a user name, a password or parameters in it",
            "keep secrets out of OLLAMA_HOST and PREANNOTATION_OLLAMA_ENDPOINTS",
        )
    host = _LOOPBACK_FOR.get(parts.hostname or "", parts.hostname)
    shown_host = f"[{host}]" if host and ":" in host else host
    port = parts.port if has_scheme else parts.port or _OLLAMA_PORT
    shown_port = "" if port is None else f":{port}"
    return f"{parts.scheme}://{shown_host}{shown_port}{parts.path.rstrip('/')}"


def _is_ipv6(address: str) -> bool:
    try:
        IPv6Address(address)
    except ValueError:
        return False
    return True


def _split_address(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        place = parts.netloc.rpartition("@")[2]
        good = place != "" and _HOST_AND_PORT.fullmatch(place) is not None and parts.port != 0
    except ValueError:
        # Half a bracket, or a port above 65535.
        good = False
    if not good or parts.scheme not in {"http", "https"} or _SPACE.search(parts.path):
        raise SettingsError(
            "an Ollama endpoint is not an http(s) address",
            "write HOST, HOST:PORT or http(s)://HOST:PORT in OLLAMA_HOST or PREANNOTATION_OLLAMA_ENDPOINTS",
        )
    return parts
