"""The model servers: of which kind they are, where, and what only that kind knows.

A new kind is a member of ``ServerKind``, its settings here, and a group of ``Settings``. Its protocol is
imported when it is asked for: settings are light to import.
"""

from abc import abstractmethod
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from pydantic import Field, field_validator

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.addresses import OLLAMA, OPENAI
from preannotation_assets.settings.fields import Reading
from preannotation_assets.settings.groups import SettingsGroup, refused

if TYPE_CHECKING:
    from preannotation_assets.model_servers.server import ModelServer

__all__ = ["OllamaSettings", "OpenAISettings", "ServerChoice", "ServerKind", "ServerSettings"]

_DURATION: Final = r"^-?(\d+(\.\d+)?(ms|s|m|h))+$"


class ServerKind(StrEnum):
    """The kinds of model servers; each is also the name of its group of settings."""

    ollama = "ollama"
    openai = "openai"


class ServerChoice(SettingsGroup):
    """Which of the kinds is asked."""

    server: ServerKind = Field(
        default=ServerKind.ollama,
        description="The kind of the model servers; openai is vLLM, llama-server and what else speaks"
        " OpenAI's chat completions (docs/model-servers.md).",
    )


class ServerSettings(SettingsGroup):
    """What every kind has: addresses, and a protocol.

    ``usual_in_flight`` is how many requests an endpoint is sent at once where nothing else is configured.
    """

    usual_in_flight: ClassVar[int]

    endpoints: list[str] = Field(default=[])

    @abstractmethod
    def addresses(self) -> list[str]:
        """The base URLs to ask, without repeats; there is at least one."""

    @abstractmethod
    def server(self) -> "ModelServer":
        """What differs between kinds of servers."""


class OllamaSettings(ServerSettings):
    """Where Ollama is, and what only Ollama knows."""

    usual_in_flight: ClassVar[int] = 4

    endpoints: Annotated[
        list[str],
        Reading(variables=OLLAMA.variables, default_shown=f"`{OLLAMA.default}`", may_hold_secret=True),
    ] = Field(
        default=[],
        description="Servers with the same model, comma-separated; OLLAMA_HOST is one of them, written as "
        f"Ollama's own client does. Without any it is {OLLAMA.default}.",
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
            return OLLAMA.parse_all(endpoints)
        except SettingsError as error:
            raise refused(error) from None

    def addresses(self) -> list[str]:
        """The base URLs to ask, without repeats; the local server where none is configured."""
        return self.endpoints or [OLLAMA.default]

    def server(self) -> "ModelServer":
        """Ollama's protocol."""
        from preannotation_assets.model_servers.ollama.server import OllamaServer

        return OllamaServer(self.keep_alive)


class OpenAISettings(ServerSettings):
    """Where OpenAI-compatible servers are, and what only their operator knows.

    Their key is no setting: PREANNOTATION_SERVER_API_KEY is read by the process that sends a request.
    """

    usual_in_flight: ClassVar[int] = 256

    endpoints: Annotated[
        list[str],
        Reading(variables=OPENAI.variables, default_shown=f"`{OPENAI.default}`", may_hold_secret=True),
    ] = Field(
        default=[],
        description="OpenAI-compatible servers with the same model, comma-separated, with /v1 at the end or"
        f" without. Without any it is {OPENAI.default}.",
    )
    revision: Annotated[
        str, Reading(variables=("PREANNOTATION_SERVER_REVISION",), expected="letters, digits and :._-/")
    ] = Field(
        default="",
        pattern=r"^[A-Za-z0-9:._/-]{0,100}$",
        description="Your name for the weights that these servers have, such as the commit they were"
        " downloaded at. Answers are kept under it; another one is asked all anew (docs/model-servers.md).",
    )

    @field_validator("endpoints")
    @classmethod
    def _normalise(cls, endpoints: list[str]) -> list[str]:
        try:
            return OPENAI.parse_all(endpoints)
        except SettingsError as error:
            raise refused(error) from None

    def addresses(self) -> list[str]:
        """The base URLs to ask, without repeats; vLLM's on this machine where none is configured."""
        return self.endpoints or [OPENAI.default]

    def server(self) -> "ModelServer":
        """Chat completions with a JSON schema."""
        from preannotation_assets.model_servers.openai.server import OpenAIServer

        return OpenAIServer(self.revision)
