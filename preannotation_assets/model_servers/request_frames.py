"""Chat requests as bytes, of which only the page is encoded anew each time. Pure."""

import json
from dataclasses import dataclass, field
from typing import Final

from preannotation_assets.extraction.delimiting import delimit_page
from preannotation_assets.model_servers.exchange import HttpRequest
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate

__all__ = ["RequestFrames", "encode_body"]

# Private use: in no instructions of ours, and a label scheme that has it is encoded whole each time.
_PLACE: Final = "\ue000page\uf8ff"


@dataclass(frozen=True, slots=True)
class _Frame:
    """A request about ``_PLACE``, and its bytes before and behind it; None where it has not one place."""

    request: HttpRequest
    around: tuple[bytes, bytes] | None


@dataclass(frozen=True, slots=True)
class RequestFrames:
    """What is the same in all chat requests of a task, encoded once.

    Instructions and schema are 10 to 60 kB and the same in each: to build and encode them for each page took
    0.14 ms, and 1 ms with 200 labels.
    """

    server: ModelServer
    _frames: dict[tuple[str, str, ModelOptions, bool, int], _Frame] = field(default_factory=dict)

    def encode(
        self, template: RequestTemplate, text: str, *, stream: bool, variation: int
    ) -> tuple[HttpRequest, bytes | None]:
        """The body for one text, and a request that differs from it in the text, if in anything.

        The request is the one about ``_PLACE``, which all texts share.
        """
        key = (template.model, template.prompt.fingerprint, template.options, stream, variation)
        frame = self._frames.get(key)
        if frame is None:
            framed = self.server.chat_request(template, _PLACE, stream=stream, variation=variation)
            frame = self._frames[key] = _Frame(framed, _around_place(framed))
        if frame.around is None:
            request = self.server.chat_request(template, text, stream=stream, variation=variation)
            return request, encode_body(request)
        before, behind = frame.around
        return frame.request, before + _quoted(delimit_page(text)) + behind


def encode_body(request: HttpRequest) -> bytes | None:
    """The body as JSON; None where a request has none."""
    return None if request.body is None else json.dumps(request.body).encode()


def _around_place(request: HttpRequest) -> tuple[bytes, bytes] | None:
    parts = (encode_body(request) or b"").split(_quoted(delimit_page(_PLACE)))
    return (parts[0], parts[1]) if len(parts) == 2 else None  # noqa: PLR2004


def _quoted(text: str) -> bytes:
    """A text as it is inside a JSON string."""
    return json.dumps(text)[1:-1].encode()
