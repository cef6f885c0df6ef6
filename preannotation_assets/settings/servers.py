"""The model servers: of which kind they are, where, and what only that kind knows.

A new kind is a member of ``ServerKind``, its settings here, and a group of ``Settings``. Its protocol is
imported when it is asked for: settings are light to import.
"""

from abc import abstractmethod
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, field_validator

from preannotation_assets.errors import SettingsError
from preannotation_assets.settings.endpoints import DEFAULT_ENDPOINT, parse_endpoint
from preannotation_assets.settings.fields import Reading
from preannotation_assets.settings.groups import SettingsGroup, refused

if TYPE_CHECKING:
    from preannotation_assets.model_servers.server import ModelServer

__all__ = ["OllamaSettings", "ServerChoice", "ServerKind", "ServerSettings"]

_DURATION: Final = r"^-?(\d+(\.\d+)?(ms|s|m|h))+$"


class ServerKind(StrEnum):
    """The kinds of model servers; each is also the name of its group of settings."""

    ollama = "ollama"


class ServerChoice(SettingsGroup):
    """Which of the kinds is asked."""

    server: ServerKind = Field(default=ServerKind.ollama, description="The kind of the model servers.")


class ServerSettings(SettingsGroup):
    """What every kind has: addresses, and a protocol."""

    endpoints: list[str] = Field(default=[])

    @abstractmethod
    def addresses(self) -> list[str]:
        """The base URLs to ask, without repeats; there is at least one."""

    @abstractmethod
    def server(self) -> "ModelServer":
        """What differs between kinds of servers."""


class OllamaSettings(ServerSettings):
    """Where Ollama is, and what only Ollama knows."""

    endpoints: Annotated[
        list[str],
        Reading(
            variables=("PREANNOTATION_OLLAMA_ENDPOINTS", "OLLAMA_HOST"),
            default_shown=f"`{DEFAULT_ENDPOINT}`",
            may_hold_secret=True,
        ),
    ] = Field(
        default=[],
        description="Servers with the same model, comma-separated; OLLAMA_HOST is one of them, written as "
        f"Ollama's own client does. Without any it is {DEFAULT_ENDPOINT}.",
    )
    keep_alive: Annotated[
        str, Reading(expected="a duration with its unit, such as 30m; below 0 for ever", is_seldom=True)
    ] = Field(
        default="30m",
        pattern=_DURATION,
        description="How long the model stays loaded after a request, with its unit.",
    )

    @field_validator("endpoints")
    @classmethod
    def _normalise(cls, endpoints: list[str]) -> list[str]:
        try:
            return list(dict.fromkeys(parse_endpoint(endpoint) for endpoint in endpoints))
        except SettingsError as error:
            raise refused(error) from None

    def addresses(self) -> list[str]:
        """The base URLs to ask, without repeats; the local server where none is configured."""
        return self.endpoints or [DEFAULT_ENDPOINT]

    def server(self) -> "ModelServer":
        """Ollama's protocol."""
        from preannotation_assets.model_servers.ollama.server import OllamaServer

        return OllamaServer(self.keep_alive)
