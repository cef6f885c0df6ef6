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


def parse_endpoint(
    address: str,
    port_without_scheme: int = _OLLAMA_PORT,
    variables: str = "OLLAMA_HOST and PREANNOTATION_OLLAMA_ENDPOINTS",
) -> str:
    """A server's address as its users write it, as a base URL without a trailing slash.

    As in Ollama's own client: without a scheme the port is the server's usual one, with ``http`` it is 80
    and with ``https`` 443; the wildcard addresses a server binds to mean this machine. ``variables`` are
    named where the address is refused.

    Raises:
        SettingsError: not an http(s) address, or it carries a user name, a password or parameters. The
            message does not repeat the address, which may hold a secret.
    """
    has_scheme = "://" in address
    shown = f"[{address}]" if _is_ipv6(address) else address
    parts = _split_address(shown if has_scheme else f"http://{shown}", variables)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            "a server's address has a user name, a password or parameters in it",
            f"keep secrets out of {variables}",
        )
    host = _LOOPBACK_FOR.get(parts.hostname or "", parts.hostname)
    shown_host = f"[{host}]" if host and ":" in host else host
    port = parts.port if has_scheme else parts.port or port_without_scheme
    shown_port = "" if port is None else f":{port}"
    return f"{parts.scheme}://{shown_host}{shown_port}{parts.path.rstrip('/')}"


def _is_ipv6(address: str) -> bool:
    try:
        IPv6Address(address)
    except ValueError:
        return False
    return True


def _split_address(address: str, variables: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        place = parts.netloc.rpartition("@")[2]
        good = place != "" and _HOST_AND_PORT.fullmatch(place) is not None and parts.port != 0
    except ValueError:
        # Half a bracket, or a port above 65535.
        good = False
    if not good or parts.scheme not in {"http", "https"} or _SPACE.search(parts.path):
        raise SettingsError(
            "a server's address is not an http(s) address",
            f"write HOST, HOST:PORT or http(s)://HOST:PORT in {variables}",
        )
    return parts
