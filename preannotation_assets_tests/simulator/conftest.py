"""A stand-in server and a client for the time of a test."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from preannotation_assets.simulator import HabitRates, RunningSimulator, SimulatorSettings

MODEL = "llama3.3:70b"
PAGE = (
    "Vessel name: MV EVER GOLDEN\nIMO No. 9811000  Call sign: H3RC\nFlag: Panama, built 1999.\n"
    "From Ham-\nburg to Rotterdam, 12 March 2021. Owner: Kestrel Line Ltd. Master: Capt. K. Singh"
)
LABELS = ("vessel_name", "imo_number", "call_sign", "flag", "port", "owner", "master", "year_built", "date")


def span_schema(labels: tuple[str, ...] = LABELS, most: int = 64) -> dict[str, Any]:
    """The schema that the pipeline sends: one-key objects in reading order."""
    value = {"type": "string", "minLength": 1, "maxLength": 200}
    items = [
        {"type": "object", "properties": {label: value}, "required": [label], "additionalProperties": False}
        for label in labels
    ]
    spans = {"type": "array", "maxItems": most, "items": {"anyOf": items}}
    return {
        "type": "object",
        "properties": {"spans": spans},
        "required": ["spans"],
        "additionalProperties": False,
    }


@dataclass(frozen=True)
class Talk:
    """A running server and a client of it."""

    simulator: RunningSimulator
    client: httpx.Client

    def body(self, page: str = PAGE, **changes: Any) -> dict[str, Any]:
        """A request for the answer to a page, as the pipeline sends it, with changes."""
        return {
            "model": MODEL,
            "stream": False,
            "truncate": False,
            "shift": False,
            "format": span_schema(),
            "options": {"num_ctx": 4096, "num_predict": 1000, "temperature": 0},
            "messages": [
                {"role": "system", "content": "Mark the entities."},
                {"role": "user", "content": f"<page>{page}</page>"},
            ],
            **changes,
        }

    async def until(self, condition: Callable[[Any], bool]) -> None:
        """Wait up to 60 s until the server's summary meets ``condition``."""
        # Looks all the time: what is awaited may be over in a moment.
        deadline = time.monotonic() + 60
        while not condition(self.simulator.summary()):
            assert time.monotonic() < deadline, "what was awaited did not happen"
            await asyncio.sleep(0.005)

    def chat(self, page: str = PAGE, **changes: Any) -> httpx.Response:
        """Ask ``/api/chat``."""
        return self.client.post("/api/chat", json=self.body(page, **changes))

    def generate(self, prompt: str, **changes: Any) -> httpx.Response:
        """Ask ``/api/generate``."""
        body = {"model": MODEL, "stream": False, "prompt": prompt, **changes}
        return self.client.post("/api/generate", json=body)


Start = Callable[..., Talk]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers without habits, unless the settings given say otherwise."""
    with ExitStack() as stack:

        def begin(settings: SimulatorSettings | None = None) -> Talk:
            chosen = settings or SimulatorSettings(habits=HabitRates.NONE)
            simulator = stack.enter_context(RunningSimulator(chosen))
            client = stack.enter_context(httpx.Client(base_url=simulator.url, timeout=10, verify=False))
            return Talk(simulator, client)

        yield begin


@pytest.fixture
def talk(start: Start) -> Talk:
    """A server with one slot, no waiting and no habits."""
    return start()
