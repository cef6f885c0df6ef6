"""A stand-in for an OpenAI-compatible server, and a client, for the time of a test."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from preannotation_assets.simulator import HabitRates
from preannotation_assets.simulator.openai import (
    Flavour,
    GrammarBackend,
    OpenAiSettings,
    RunningOpenAiSimulator,
)

MODEL = "llama-3.3-70b"
PAGE = "Vessel name: MV EVER GOLDEN\nFrom Hamburg to Rotterdam, 12 March 2021. Owner: Kestrel Line Ltd."
LABELS = ("vessel_name", "port", "date", "owner")
QUOTE = {"type": "string", "minLength": 1, "maxLength": 300}


@dataclass(frozen=True)
class Talk:
    """A running server and a client of it."""

    simulator: RunningOpenAiSimulator
    client: httpx.Client

    @staticmethod
    def schema(quote: dict[str, Any] = QUOTE) -> dict[str, Any]:
        """One-key objects in reading order, as the pipeline asks for them."""
        items = [
            {
                "type": "object",
                "properties": {label: quote},
                "required": [label],
                "additionalProperties": False,
            }
            for label in LABELS
        ]
        return {
            "type": "object",
            "properties": {"spans": {"type": "array", "maxItems": 64, "items": {"anyOf": items}}},
            "required": ["spans"],
            "additionalProperties": False,
        }

    def body(self, page: str = PAGE, schema: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """A request for the answer to a page, with changes; a change to None leaves the field out."""
        named = {"name": "answer", "schema": schema or self.schema(), "strict": True}
        body = {
            "model": MODEL,
            "messages": [
                {"role": "system", "content": "Mark the entities."},
                {"role": "user", "content": f"<page>{page}</page>"},
            ],
            "temperature": 0,
            "response_format": {"type": "json_schema", "json_schema": named},
            **changes,
        }
        return {name: value for name, value in body.items() if value is not None}

    def chat(self, page: str = PAGE, schema: dict[str, Any] | None = None, **changes: Any) -> httpx.Response:
        """Ask."""
        return self.client.post("/v1/chat/completions", json=self.body(page, schema, **changes))

    def choice(self, page: str = PAGE, schema: dict[str, Any] | None = None, **changes: Any) -> Any:
        """The only choice of an answer that came."""
        response = self.chat(page, schema, **changes)
        assert response.status_code == 200, response.text
        return response.json()["choices"][0]

    def events(self, page: str = PAGE, **changes: Any) -> list[str]:
        """What a stream says behind ``data:``, event by event."""
        body = self.body(page, stream=True, **changes)
        with self.client.stream("POST", "/v1/chat/completions", json=body) as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = [line for line in response.iter_lines() if line]
        assert all(line.startswith("data: ") for line in lines)
        return [line.removeprefix("data: ") for line in lines]

    def metrics(self) -> dict[str, float]:
        """The metrics by name; the last of each name."""
        lines = self.client.get("/metrics").text.splitlines()
        pairs = [line.rpartition(" ") for line in lines if not line.startswith("#")]
        return {name.partition("{")[0].partition(":")[2]: float(value) for name, _, value in pairs}

    async def until(self, condition: Callable[["Talk"], bool]) -> None:
        """Wait up to 60 s until ``condition`` holds."""
        # Looks all the time: what is awaited may be over in a moment.
        deadline = time.monotonic() + 60
        while not condition(self):
            assert time.monotonic() < deadline, "what was awaited did not happen"
            await asyncio.sleep(0.005)


@pytest.fixture
def start() -> Iterator[Callable[..., Talk]]:
    """Starts servers that wait for nothing and have no habits, unless the settings say otherwise."""
    with ExitStack() as stack:

        def begin(flavour: str = "vllm", backend: str = "auto", **settings: Any) -> Talk:
            kinds = {"flavour": Flavour(flavour), "backend": GrammarBackend(backend)}
            chosen = OpenAiSettings(**{"habits": HabitRates.NONE, **kinds, **settings})
            simulator = stack.enter_context(RunningOpenAiSimulator(chosen))
            client = stack.enter_context(httpx.Client(base_url=simulator.url, timeout=10, verify=False))
            return Talk(simulator, client)

        yield begin


@pytest.fixture
def vllm(start: Callable[..., Talk]) -> Talk:
    """vLLM as it comes."""
    return start()


@pytest.fixture
def llama(start: Callable[..., Talk]) -> Talk:
    """llama.cpp's server with two slots."""
    return start(flavour="llama", most_sequences=2)
