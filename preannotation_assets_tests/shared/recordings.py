"""What real servers answered, as it was recorded (recorded/README.md)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from preannotation_assets.errors import EndpointError
from preannotation_assets.model_servers.exchange import Exchange, HttpRequest
from preannotation_assets.model_servers.outcomes import Reason
from preannotation_assets.model_servers.server import Fetch

__all__ = ["FOLDER", "RECORDED_MODEL", "Recording", "fetch_from", "recordings"]

FOLDER: Final = Path(__file__).parents[1] / "recorded"
RECORDED_MODEL: Final = "smollm2"


@dataclass(frozen=True)
class Recording:
    """One exchange; ``sent`` is the body as it was sent, ``content`` the body of the response."""

    case: str
    request: HttpRequest
    key: str
    sent: bytes
    status: int
    headers: Mapping[str, str]
    content: bytes
    lost: bool

    def exchange(self, endpoint: str = "http://recorded") -> Exchange:
        """As the client would have given it."""
        lost = Reason.CONNECTION_LOST if self.lost else None
        return Exchange(
            endpoint,
            began_at=0.0,
            seconds=1.0,
            lost=lost,
            status=self.status,
            headers=self.headers,
            content=self.content,
            request=self.request,
        )


def recordings(server: str) -> dict[str, Recording]:
    """All of a server, by case."""
    return {file.stem: _read(file) for file in sorted((FOLDER / server).glob("*.json"))}


def fetch_from(recorded: Mapping[str, Recording], chat: str) -> Fetch:
    """Answers requests for information as they were answered, and every POST as ``chat`` was."""
    by_path = {one.request.path: one for one in recorded.values() if one.key == "right"}

    def fetch(request: HttpRequest) -> Exchange:
        if request.method == "POST":
            return recorded[chat].exchange()
        if request.path not in by_path:
            raise EndpointError(f"{request.path} was not recorded", "record it")
        return by_path[request.path].exchange()

    return fetch


def _read(file: Path) -> Recording:
    document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    asked, answered = document["request"], document["response"]
    body = asked.get("body")
    sent = asked.get("text", "").encode() if body is None else json.dumps(body).encode()
    content = json.dumps(answered["json"]) if "json" in answered else answered["text"]
    return Recording(
        file.stem,
        HttpRequest(asked["method"], asked["path"], body),
        asked["key"],
        sent,
        answered["status"],
        answered["headers"],
        content.encode(),
        answered["lost"],
    )
