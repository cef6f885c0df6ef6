"""A stand-in server, a run's worth of plumbing, and short pages to ask about."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from preannotation_assets.answer_store.index import AnswerIndex, RequestSpan, read_answers
from preannotation_assets.answer_store.writer import AnswerWriter
from preannotation_assets.asking.asker import AskingPlan, ask_all
from preannotation_assets.asking.event_loop import AskingLoop
from preannotation_assets.asking.work_queue import WorkItem
from preannotation_assets.extraction.labels import parse_label_scheme
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.lake import StoreLocation, open_store
from preannotation_assets.model_servers.http_client import ChatClient, Timeouts
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate, request_key
from preannotation_assets.simulator import HabitRates, RunningSimulator, SimulatedModel, SimulatorSettings
from preannotation_assets.throttling.dispatcher import Limits, Progress
from preannotation_assets.throttling.permit_messages import PermitReport
from preannotation_assets.throttling.permit_server import PermitServer

__all__ = [
    "LIMITS",
    "MODEL",
    "POLICY",
    "NewRun",
    "Run",
    "StartSimulator",
    "new_run",
    "simulator",
    "template",
    "template_with_example",
]

MODEL = SimulatedModel("llama3.3:70b")
LIMITS = Limits(max_in_flight=4, linger_seconds=0.05, first_rest_seconds=0.05)
POLICY = RetryPolicy(attempts=6, first_backoff=0.01, longest_backoff=0.05)
SCHEME = """
name: short
version: "1"
labels:
  - {name: vessel_name, definition: The name of a vessel.}
  - {name: port, definition: A port.}
  - {name: flag, definition: The flag state of a vessel.}
"""


EXAMPLES = """
examples:
  - text: MV Alder lay at Kiel.
    spans: [{vessel_name: MV Alder}, {port: Kiel}]
"""


@pytest.fixture(scope="session")
def template() -> RequestTemplate:
    """Requests to the stand-in's model with a prompt of three labels."""
    return _template(SCHEME)


@pytest.fixture(scope="session")
def template_with_example() -> RequestTemplate:
    """The same with an example page, so that the messages before a page end in an answer."""
    return _template(SCHEME + EXAMPLES)


def _template(scheme: str) -> RequestTemplate:
    prompt = build_prompt(parse_label_scheme(scheme, "test"))
    return RequestTemplate(
        MODEL.name, MODEL.digest(), prompt, ModelOptions(context_tokens=4096, answer_tokens=400)
    )


def _last_progress(server: PermitServer) -> Progress:
    """The progress when the last messages of a task have arrived, which may be on their way at its end."""
    progress = server.progress()
    for _ in range(200):
        if not progress.in_flight:
            break
        time.sleep(0.01)
        progress = server.progress()
    return progress


@dataclass
class Run:
    """Asks over HTTP what a task would ask, in this process."""

    template: RequestTemplate
    folder: Path
    endpoints: Sequence[str]
    limits: Limits = LIMITS
    policy: RetryPolicy = POLICY
    timeouts: Timeouts = field(default_factory=Timeouts)
    streamed: frozenset[str] = frozenset()
    server: ModelServer = field(default_factory=OllamaServer)
    rows: list[dict[str, Any]] = field(default_factory=list)
    leaves: list[list[RequestSpan]] = field(default_factory=list)
    progress: Any = None
    stop_message: str | None = None
    observers: Sequence[Callable[[str, PermitReport], None]] = ()

    def ask(self, texts: Sequence[str]) -> None:
        """Asks about all texts and reads back what the journal holds."""
        items = [
            WorkItem(
                request_key(self.template.fingerprint, text_sha256(text)), 0, len(text), text, len(text) // 4
            )
            for text in texts
        ]
        store = open_store(StoreLocation(str(self.folder)))
        with PermitServer(self.endpoints, self.limits, observers=self.observers) as server:
            asking = AskingPlan(
                self.template, self.policy, self.timeouts, server.address, 6, overlap_tokens=5, run_id="r"
            )

            async def approve(_: str) -> None:
                return

            async def main() -> None:
                async with (
                    ChatClient(self.server, self.timeouts, {}, self.streamed) as client,
                    AnswerWriter(store, "answers/r", 0.02, approve) as journal,
                ):
                    await ask_all(asking, client, journal, iter([items]), loop.quiet)

            loop = AskingLoop()
            try:
                with asyncio.Runner(loop_factory=lambda: loop) as runner:
                    runner.run(main())
            finally:
                self.progress = _last_progress(server)
                self.stop_message = server.stop_message
                index = AnswerIndex.read(store, "answers")
                whole = [RequestSpan(item.start, item.end, item.request_key) for item in items]
                self.leaves = [[leaf for leaf, _ in index.leaves(item)] for item in whole]
                known = [leaf for item in whole for leaf in index.leaves(item)]
                answers = {leaf.request_key: answer for leaf, answer in known if answer}
                self.rows = read_answers(store, answers).to_pylist()

    def statuses(self) -> dict[str, int]:
        """How many requests ended how: answered, or failed with a reason."""
        return dict(Counter(row["reason"] or row["status"] for row in self.rows))


StartSimulator = Callable[..., RunningSimulator]
NewRun = Callable[..., Run]


@pytest.fixture
def simulator() -> Iterator[StartSimulator]:
    """Starts stand-in servers that answer at once and make no mistakes on purpose."""
    with ExitStack() as stack:

        def start(**changes: Any) -> RunningSimulator:
            settings = SimulatorSettings(**{"slots": 4, "habits": HabitRates.NONE} | changes)
            return stack.enter_context(RunningSimulator(settings))

        yield start


@pytest.fixture
def new_run(template: RequestTemplate, tmp_path: Path) -> NewRun:
    """Makes runs that keep their answers below ``tmp_path``."""

    def make(*simulators: RunningSimulator, **changes: Any) -> Run:
        return Run(template, tmp_path, [simulator.url for simulator in simulators], **changes)

    return make
