"""Which proxy, if any, a request goes through. Pure.

The HTTP client is not left to read the environment itself: it would send pages for a server on this machine
through HTTP_PROXY.
"""

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final

import httpx

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.addresses import PRIVATE_HOSTS_VARIABLE, split_list
from preannotation_assets.model_servers.networks import (
    Reach,
    host_of,
    literal_address,
    reach_of,
)

__all__ = ["proxy_for"]

# As curl and httpx have it, the small letters count where both are set.
_PROXY_VARIABLES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_EXCEPTION_VARIABLES: Final = ("no_proxy", "NO_PROXY")
_HTTPS_PORT: Final = 443
_EXCEPTION: Final = re.compile(r"\[?(?P<host>.*?)\]?(?::(?P<port>\d{1,5}))?")


def proxy_for(endpoint: str, environment: Mapping[str, str]) -> str | None:
    """The proxy on the way to an endpoint; None where the way is direct.

    Only public https endpoints are reached through one, so it sees neither pages nor secrets: HTTPS_PROXY
    or ALL_PROXY, unless NO_PROXY names the host. The URL may hold a password.

    Raises:
        SettingsError: there is no safe way, as the endpoint is public and not https; or the proxy is none
            that can be used. The message repeats no proxy.
    """
    is_public = reach_of(endpoint, environment) is Reach.PUBLIC
    if not is_public:
        return None
    if not endpoint.startswith("https://"):
        host = host_of(endpoint)
        raise SettingsError(
            f"{endpoint} is plain http to a public address, where anybody on the way reads the pages",
            f"use https, or say that {host} is in a private network: {PRIVATE_HOSTS_VARIABLE}={host}",
        )
    proxy = _first_set(environment, _PROXY_VARIABLES)
    exceptions = split_list(_first_set(environment, _EXCEPTION_VARIABLES))
    if not proxy or any(_is_excepted(endpoint, exception) for exception in exceptions):
        return None
    return _checked(proxy)


def _checked(proxy: str) -> str:
    """A proxy's URL; without a scheme it is http, as curl has it."""
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parsed = httpx.URL(url)
        good = parsed.scheme in {"http", "https"} and bool(parsed.host)
    except httpx.InvalidURL:
        good = False
    if not good:
        raise SettingsError(
            "HTTPS_PROXY or ALL_PROXY names a proxy that cannot be used",
            "give an http:// or https:// address, or name the server in NO_PROXY",
        )
    return url


def _is_excepted(endpoint: str, exception: str) -> bool:
    """Whether an entry of NO_PROXY means the endpoint.

    As curl has it: ``*``, a domain with or without a dot before it and all below it, an address, a network,
    each perhaps with a port.
    """
    if exception == "*":
        return True
    host = host_of(endpoint).removesuffix(".")
    address = literal_address(host)
    if address is not None and _is_in_network(address, exception):
        return True
    parts = _EXCEPTION.fullmatch(exception.lower())
    if not parts or (parts["port"] and int(parts["port"]) != (httpx.URL(endpoint).port or _HTTPS_PORT)):
        return False
    if address is not None:
        return _is_in_network(address, parts["host"])
    domain = parts["host"].removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _is_in_network(address: IPv4Address | IPv6Address, network: str) -> bool:
    try:
        return address in ip_network(network, strict=False)
    except ValueError:
        return False


def _first_set(environment: Mapping[str, str], variables: Iterable[str]) -> str:
    return next(filter(None, (environment.get(variable, "").strip() for variable in variables)), "")
