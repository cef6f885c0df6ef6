"""What a kind of model server is to the rest of the package.

A new kind is a class with these methods, a member of ``ServerKind`` with its settings
(``settings/servers.py``), a resource, and a line in ``definitions.py``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.outcomes import Outcome
from preannotation_assets.model_servers.template import RequestTemplate

__all__ = ["EndpointIdentity", "Fetch", "ModelServer", "ServerLoad"]

Fetch = Callable[[HttpRequest], Exchange]
"""Sends a request to one endpoint and waits for the response; raises EndpointError where none comes."""


@dataclass(frozen=True, slots=True)
class EndpointIdentity:
    """A model as one endpoint has it.

    ``digest`` names the weights in letters, digits and ``:._-``; the same weights have the same one.
    ``context_tokens`` is what the server allows for prompt and answer, None where the request says it.
    ``variant`` is what was found out about the server that requests to it depend on, in a text that
    ``ModelServer.for_variant`` reads. ``notes`` are lines for whoever runs the batch: what cannot be known,
    and what the server could do better.
    """

    version: str
    digest: str
    context_tokens: int | None = None
    variant: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """How many requests a server works on now, and how many wait for it, those of other clients too."""

    running: int
    waiting: int


class ModelServer(Protocol):
    """One kind of model server. Picklable: Spark tasks are given it. It holds no secret and no connection."""

    @property
    def kind(self) -> str:
        """What it is called in messages, such as Ollama."""

    @property
    def provider(self) -> str:
        """``gen_ai.provider.name`` of OpenTelemetry's conventions."""

    @property
    def cure(self) -> str:
        """What to do where no such server can be reached."""

    def cure_missing(self, model: str) -> str:
        """What to do where a model is missing, or another one than elsewhere."""

    def headers_for(self, endpoint: str, environment: Mapping[str, str]) -> dict[str, str]:
        """The headers of every request to an endpoint; secrets only where the environment names it.

        They come from the environment of the process that sends the request.
        """

    def chat_request(
        self, template: RequestTemplate, text: str, *, stream: bool, variation: int = 0
    ) -> HttpRequest:
        """The request about one text; a ``variation`` above 0 asks again for an unusable answer.

        The text is in it once, as ``Prompt.messages`` has it, and nothing else depends on the text.
        """

    def read(self, exchange: Exchange, model: str) -> Outcome:
        """What an exchange means. For a reply it may cost a millisecond: give the permit back before."""

    def stream_delta(self, line: bytes) -> str:
        """The text that a line of a streamed reply adds to the answer; "" for none, whatever the line is."""

    def check_model_name(self, model: str) -> None:
        """Refuses names that must not be asked for; raises ModelError."""

    def identify(self, endpoint: str, model: str, fetch: Fetch) -> EndpointIdentity:
        """Version, model and limits of an endpoint; raises EndpointError, AccessDeniedError or ModelError."""

    def for_variant(self, variant: str) -> Self:
        """The same kind for servers that were found to be of a variant; see ``EndpointIdentity``."""

    def digest_request(self, model: str) -> HttpRequest:
        """The request that tells the digest of a model by now."""

    def read_digest(self, exchange: Exchange, model: str) -> str | None:
        """The digest in the response to it; None where it does not say."""

    def preload_request(self, template: RequestTemplate) -> HttpRequest | None:
        """The request that loads the model and answers nothing; None where it is always loaded."""

    def loaded_request(self) -> HttpRequest | None:
        """The request that tells how a model was loaded; None where nobody has to look."""

    def check_loaded(self, exchange: Exchange, template: RequestTemplate) -> None:
        """Reads the response to it; raises SettingsError where the model is not as requests need it."""

    @property
    def warms_each_slot(self) -> bool:
        """Whether each slot keeps the constant part of the prompt for itself; else one cache serves all."""

    def warm_up_request(self, template: RequestTemplate) -> HttpRequest | None:
        """A request that reads the constant part of the prompt and answers next to nothing; None for none."""

    def probe_request(self, template: RequestTemplate, *, stream: bool) -> HttpRequest:
        """The request about an empty page, for one token: what it meets with, all such requests do.

        In no setting but the longest answer it differs from ``chat_request``.
        """

    def load_request(self) -> HttpRequest | None:
        """The request that tells how busy the server is; None where answers tell it, or nothing does."""

    def read_load(self, exchange: Exchange) -> ServerLoad | None:
        """How busy it is, by the response to it; None where it does not say."""

    def lint_schema(self, schema: Mapping[str, object]) -> list[str]:
        """What of an answer schema this kind would ignore, refuse or reorder, a line each."""
