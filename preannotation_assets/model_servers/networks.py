"""How far a request travels: whether a host is this machine, in a private network, or anywhere. Pure.

By address and name alone, without asking the DNS, whose answer may be another one a moment later.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

import httpx

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.addresses import PRIVATE_HOSTS_VARIABLE, split_list

__all__ = ["Reach", "host_of", "literal_address", "reach_of", "url_of"]

_PRIVATE_IPV4: Final = tuple(
    map(
        IPv4Network,
        (
            "10.0.0.0/8",  # RFC 1918
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",  # RFC 3927, link-local
            "100.64.0.0/10",  # RFC 6598; Tailscale's addresses
        ),
    )
)
_PRIVATE_IPV6: Final = (
    IPv6Network("fe80::/10"),  # RFC 4291, link-local
    IPv6Network("fc00::/7"),  # RFC 4193, unique local
)
# RFC 6762, RFC 8375, ICANN's resolution 2024.07.29.06, and Tailscale's MagicDNS.
_PRIVATE_SUFFIXES: Final = (".local", ".home.arpa", ".internal", ".ts.net")
# RFC 6761.
_THIS_MACHINE: Final = "localhost"
# The WHATWG's "ends in a number": C libraries take such a name for an IPv4 address, in octal, hexadecimal, or
# with parts left out.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


class Reach(StrEnum):
    """Where a host is."""

    LOOPBACK = "loopback"
    PRIVATE = "private"
    PUBLIC = "public"


def url_of(endpoint: str) -> httpx.URL:
    """A base URL as the HTTP client reads it, with the port of its scheme left out.

    Raises:
        SettingsError: the client would not take it. The message does not repeat it.
    """
    try:
        return httpx.URL(endpoint)
    except (httpx.InvalidURL, ValueError):
        raise SettingsError(
            "the host in a server's address is malformed", "write it in letters, digits, dots and -"
        ) from None


def host_of(endpoint: str) -> str:
    """The host in a base URL as the HTTP client connects to it: small letters, Punycode, without brackets.

    Raises:
        SettingsError: the client would not take it. The message does not repeat it.
    """
    return url_of(endpoint).raw_host.decode("ascii").lower()


def literal_address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is written as; None where it is a name. IPv4 within IPv6 is IPv4."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def reach_of(endpoint: str, environment: Mapping[str, str]) -> Reach:
    """Where an endpoint is, by its address; what the environment calls private is private.

    Raises:
        SettingsError: there is no host in it.
    """
    host = host_of(endpoint)
    reach = _reach_of_host(host)
    if reach is Reach.PUBLIC and host in _named_private(environment):
        return Reach.PRIVATE
    return reach


def _reach_of_host(host: str) -> Reach:
    address = literal_address(host)
    if address is None:
        return _reach_of_name(host)
    if address.is_loopback:
        return Reach.LOOPBACK
    if isinstance(address, IPv4Address):
        return Reach.PRIVATE if any(address in network for network in _PRIVATE_IPV4) else Reach.PUBLIC
    return Reach.PRIVATE if any(address in network for network in _PRIVATE_IPV6) else Reach.PUBLIC


def _reach_of_name(host: str) -> Reach:
    """Of a name: one without a dot is looked up in the own domain; with a dot behind it, it is not."""
    name = host.removesuffix(".")
    if name == _THIS_MACHINE or name.endswith(f".{_THIS_MACHINE}"):
        return Reach.LOOPBACK
    if not name or _NUMBER.fullmatch(name.rpartition(".")[2]):
        return Reach.PUBLIC
    if "." not in host or name.endswith(_PRIVATE_SUFFIXES):
        return Reach.PRIVATE
    return Reach.PUBLIC


def _named_private(environment: Mapping[str, str]) -> list[str]:
    """The hosts that the environment calls private, as ``host_of`` writes them."""
    hosts = split_list(environment.get(PRIVATE_HOSTS_VARIABLE, ""))
    return [host_of(f"http://[{host}]" if ":" in host else f"http://{host}") for host in hosts]
