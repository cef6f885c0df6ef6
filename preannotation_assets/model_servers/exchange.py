"""One HTTP request and what came back, unread. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from preannotation_assets.model_servers.outcomes import Reason

__all__ = ["Exchange", "HttpRequest"]

_OK: Final = 200
# What model servers answer with: one object, or a stream of them a line (Ollama) or an event.
_REPLIES: Final = frozenset({"application/json", "application/x-ndjson", "text/event-stream"})


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What to send to an endpoint: ``path`` comes behind its address, ``body`` is sent as JSON."""

    method: str
    path: str
    body: Mapping[str, object] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request to ``endpoint`` and its response; ``lost`` where nothing whole came back.

    ``seconds`` is the time from sending to the last byte. ``began_at`` is seconds since the Unix epoch.
    ``headers`` have lower-case names. ``given_up`` says that the response was not read to its end, because
    it was not going to have one; its content ends with a whole line. ``unreadable`` says that the body was no
    reply's, whatever the status: too large, or in an unknown coding; it has no content then. ``request`` is
    what was sent, where a reply is judged by it; of a chat request its settings only, because in place of
    the text it may have the mark that all of a task share (``request_frames``).
    """

    endpoint: str
    began_at: float
    seconds: float
    lost: Reason | None
    status: int = 0
    headers: Mapping[str, str] | None = None
    content: bytes = field(default=b"", repr=False)
    given_up: bool = False
    unreadable: bool = False
    request: HttpRequest | None = field(default=None, repr=False)

    @property
    def is_reply(self) -> bool:
        """Whether a model server answered the request; what it answered is to be judged."""
        return self.status == _OK and self.content_type in _REPLIES

    @property
    def content_type(self) -> str:
        """The media type without parameters, in small letters."""
        return (self.headers or {}).get("content-type", "").split(";")[0].strip().lower()
