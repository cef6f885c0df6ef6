"""Addresses of model servers, as users write them, and which of them the environment names. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from preannotation_assets.errors import SettingsError

__all__ = [
    "ACCESS_VARIABLES",
    "CASCADE_VARIABLE",
    "KEY_VARIABLE",
    "OLLAMA",
    "OPENAI",
    "PRIVATE_HOSTS_VARIABLE",
    "AddressForm",
    "split_list",
]

KEY_VARIABLE: Final = "PREANNOTATION_SERVER_API_KEY"
"""The environment variable that holds the key of OpenAI-compatible servers."""

ACCESS_VARIABLES: Final = ("CF_ACCESS_CLIENT_ID", "CF_ACCESS_CLIENT_SECRET")
"""The environment variables that hold a service token of Cloudflare Access: its id and its secret."""

PRIVATE_HOSTS_VARIABLE: Final = "PREANNOTATION_PRIVATE_HOSTS"
"""The environment variable that names hosts which count as private, whatever their name."""

CASCADE_VARIABLE: Final = "PREANNOTATION_CASCADE_URLS"
"""The environment variable that names the servers of a cascade's small model, of whichever kind."""

# A server binds to a wildcard address; a client cannot connect to one everywhere.
_LOOPBACK_FOR: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_HOST_AND_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]\\]*)(:\d{1,5})?")
_SPACE: Final = re.compile(r"\s")


@dataclass(frozen=True, slots=True)
class AddressForm:
    """How the addresses of one kind of server are written, and where.

    The first of the ``variables`` that is set counts. ``port`` is the usual one of the kind, ``suffix`` the
    beginning of its paths, which may be left out. ``cure_variables`` names the variables in a sentence.
    """

    variables: tuple[str, ...]
    cure_variables: str
    port: int
    suffix: str = ""

    @property
    def default(self) -> str:
        """What is asked where no address is configured: this machine."""
        return f"http://127.0.0.1:{self.port}"

    def parse(self, address: str) -> str:
        """A server's address as its users write it, as a base URL without a trailing slash.

        As in Ollama's own client: without a scheme the port is the server's usual one, with ``http`` it is
        80 and with ``https`` 443; the wildcard addresses a server binds to mean this machine.

        Raises:
            SettingsError: not an http(s) address, or it carries a user name, a password or parameters. The
                message does not repeat the address, which may hold a secret.
        """
        has_scheme = "://" in address
        shown = f"[{address}]" if _is_ipv6(address) else address
        parts = self._split(shown if has_scheme else f"http://{shown}")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise SettingsError(
                "a server's address has a user name, a password or parameters in it",
                f"keep secrets out of {self.cure_variables}",
            )
        host = _LOOPBACK_FOR.get(parts.hostname or "", parts.hostname)
        shown_host = f"[{host}]" if host and ":" in host else host
        port = parts.port if has_scheme else parts.port or self.port
        shown_port = "" if port is None else f":{port}"
        return f"{parts.scheme}://{shown_host}{shown_port}{parts.path.rstrip('/')}"

    def parse_all(self, addresses: Iterable[str]) -> list[str]:
        """Base URLs without the ``suffix`` and without repeats.

        Raises:
            SettingsError: as ``parse`` does.
        """
        return list(dict.fromkeys(self.parse(address).removesuffix(self.suffix) for address in addresses))

    def named(self, environment: Mapping[str, str]) -> list[str]:
        """The base URLs that the environment names, the default where it names none; and a cascade's.

        Raises:
            SettingsError: as ``parse`` does.
        """
        texts = (environment.get(variable, "").strip() for variable in self.variables)
        own = self.parse_all(split_list(next(filter(None, texts), ""))) or [self.default]
        return [*own, *self.parse_all(split_list(environment.get(CASCADE_VARIABLE, "")))]

    def _split(self, address: str) -> SplitResult:
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
                f"write HOST, HOST:PORT or http(s)://HOST:PORT in {self.cure_variables}",
            )
        return parts


OLLAMA: Final = AddressForm(
    variables=("PREANNOTATION_OLLAMA_ENDPOINTS", "OLLAMA_HOST"),
    cure_variables="OLLAMA_HOST and PREANNOTATION_OLLAMA_ENDPOINTS",
    port=11434,
)
"""Ollama's own."""

OPENAI: Final = AddressForm(
    variables=("PREANNOTATION_SERVER_URLS",),
    cure_variables="PREANNOTATION_SERVER_URLS",
    port=8000,
    suffix="/v1",
)
"""Those of OpenAI-compatible servers; the port is vLLM's."""


def split_list(text: str) -> list[str]:
    """The parts of a list with commas, without white space around them and without empty ones."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _is_ipv6(address: str) -> bool:
    try:
        IPv6Address(address)
    except ValueError:
        return False
    return True
