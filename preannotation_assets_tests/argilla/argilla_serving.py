"""Argilla's server with OpenSearch, as processes."""

import json
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from argilla_folders import process_environment
from shared.polling import wait_for

__all__ = ["Argilla", "ShownRecord", "free_port", "serve_argilla"]

_START_SECONDS: Final = 300.0
_ALL: Final[Mapping[str, Any]] = {"query": {}}


@dataclass(frozen=True, slots=True)
class ShownRecord:
    """A record in the order in which Argilla's web page has them; ``name`` is doc_id:page_num."""

    number: int
    record_id: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Argilla:
    """A server with datasets in it."""

    url: str
    user: str
    password: str
    key: str
    datasets: Mapping[str, str]

    def records(self, dataset: str) -> list[ShownRecord]:
        """The records of a dataset, asked for as the web page does."""
        return [
            ShownRecord(number, record["id"], record["external_id"], record["fields"]["text"])
            for number, record in enumerate((item["record"] for item in self._search(dataset)), 1)
        ]

    def answer(self, dataset: str, name: str) -> list[dict[str, Any]]:
        """The spans that the expert has submitted for a record."""
        (record,) = [
            item["record"] for item in self._search(dataset) if item["record"]["external_id"] == name
        ]
        return [] if not record["responses"] else list(record["responses"][0]["values"]["spans"]["value"])

    def contents(self, dataset: str) -> dict[str, tuple[str, list[Any]]]:
        """The text of each record, and the spans of its suggestions with their scores."""
        return {
            record["external_id"]: (
                record["fields"]["text"],
                [[suggestion["value"], suggestion["score"]] for suggestion in record["suggestions"]],
            )
            for record in (item["record"] for item in self._search(dataset))
        }

    def lowest_scores(self, dataset: str) -> list[float]:
        """The lowest score of each record that has any, in the order of a search sorted by scores."""
        scope = {"entity": "suggestion", "question": "spans", "property": "score"}
        found = self._search(dataset, {"query": {}, "sort": [{"scope": scope, "order": "asc"}]})
        scores = [suggestion["score"] for item in found for suggestion in item["record"]["suggestions"]]
        return [min(score) for score in scores if score]

    def _search(self, dataset: str, query: Mapping[str, Any] = _ALL) -> list[dict[str, Any]]:
        reply = httpx.post(
            f"{self.url}/api/v1/me/datasets/{self.datasets[dataset]}/records/search",
            params={"limit": 200, "include": ["responses", "suggestions"]},
            headers={"X-Argilla-Api-Key": self.key},
            json=query,
            timeout=60,
        )
        found: list[dict[str, Any]] = reply.raise_for_status().json()["items"]
        return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def serve_argilla(python: Path, folder: Path, search_engine: str) -> Iterator[Argilla]:
    """Starts the server, which loads what loads.json in ``folder`` names; ends it."""
    program = Path(__file__).with_name("argilla_server_process.py")
    environment = process_environment() | {
        "ARGILLA_SEARCH_ENGINE": "opensearch",
        "ARGILLA_ELASTICSEARCH": search_engine,
    }
    command = [str(python), "-W", "ignore", str(program), str(folder)]
    said = folder / "argilla.txt"
    with (
        said.open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            yield wait_for(lambda: _told(process, folder), "Argilla with its datasets", _START_SECONDS)
        finally:
            process.kill()
            process.wait()


def _told(process: subprocess.Popen[bytes], folder: Path) -> Argilla | None:
    assert process.poll() is None, (folder / "argilla.txt").read_text("utf-8", "replace")[-4000:]
    told = folder / "serving.json"
    return Argilla(**json.loads(told.read_text("utf-8"))) if told.exists() else None
