"""Work for tasks that ask: chunks in a lake, and what became of them."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from shared.short_pages import SCHEME, write_chunks

from preannotation_assets.answer_store.index import AnswerIndex, RequestSpan, read_answers
from preannotation_assets.asking.asker import AskingPlan
from preannotation_assets.asking.asking_plan import AskingShare, write_asking_shares
from preannotation_assets.asking.planning import WantedChunk
from preannotation_assets.extraction.labels import parse_label_scheme
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store
from preannotation_assets.lake.layout import part_key
from preannotation_assets.model_servers.http_client import Timeouts
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate, request_key
from preannotation_assets.simulator import RequestRecord, RunningSimulator, SimulatedModel
from preannotation_assets.tasks.ask_model import AskModel
from preannotation_assets.throttling.dispatcher import Limits
from preannotation_assets.throttling.permit_server import PermitServer

__all__ = ["ANSWERS_FOLDER", "CAP", "LIMITS", "MODEL", "Work"]

MODEL = SimulatedModel("llama3.3:70b")
CHUNKS_FOLDER = "argilla/work/d/chunks/v"
ANSWERS_FOLDER = "argilla/work/d/answers"
CAP = 3
LIMITS = Limits(max_in_flight=CAP, linger_seconds=0.2, first_rest_seconds=0.05)


@dataclass
class Work:
    """Chunks in a lake (``folder``, unless it is elsewhere), and tasks that ask what has no answer yet."""

    folder: Path
    simulator: RunningSimulator
    texts: list[str]
    flush_seconds: float = 0.1
    lake: StoreLocation | None = None
    template: RequestTemplate = field(init=False)

    def __post_init__(self) -> None:
        prompt = build_prompt(parse_label_scheme(SCHEME, "test"))
        options = ModelOptions(context_tokens=4096, answer_tokens=400)
        self.template = RequestTemplate(MODEL.name, MODEL.digest(), prompt, options)
        write_chunks(self.store, part_key(CHUNKS_FOLDER, 0), self.texts)

    @property
    def location(self) -> StoreLocation:
        return self.lake or StoreLocation(str(self.folder))

    @property
    def store(self) -> ObjectStore:
        return open_store(self.location)

    def requests(self) -> list[RequestSpan]:
        keys = [request_key(self.template.fingerprint, text_sha256(text)) for text in self.texts]
        return [RequestSpan(0, len(text), key) for text, key in zip(self.texts, keys, strict=True)]

    def index(self) -> AnswerIndex:
        return AnswerIndex.read(self.store, ANSWERS_FOLDER)

    def task(
        self, server: PermitServer, run_id: str, *, of_all: bool = False, rows: Collection[int] | None = None
    ) -> AskModel:
        """The task for what is unanswered of these rows, or for everything of them; of all rows with None."""
        index = self.index()
        wanted = [
            WantedChunk(0, row, 1, tuple(requests))
            for row, request in enumerate(self.requests())
            if (requests := [request] if of_all else index.unanswered(request))
            if rows is None or row in rows
        ]
        plan = f"argilla/work/d/plans/{run_id}/{uuid4()}"
        shares = write_asking_shares(self.store, plan, wanted, len(wanted), 1)
        policy = RetryPolicy(first_backoff=0.01)
        asking = AskingPlan(self.template, policy, Timeouts(), server.address, CAP, 5, run_id)
        return AskModel(
            self.location,
            f"{ANSWERS_FOLDER}/{run_id}",
            CHUNKS_FOLDER,
            shares[0] if shares else AskingShare(plan, 0),
            asking,
            OllamaServer(),
            frozenset(),
            self.flush_seconds,
        )

    def answers(self) -> list[tuple[str, str]]:
        """Status and answer of every text, in order."""
        index = self.index()
        known = {request.request_key: index.get(request.request_key) for request in self.requests()}
        rows = read_answers(self.store, {key: answer for key, answer in known.items() if answer}).to_pylist()
        by_key = {row["request_key"]: (row["status"], row["answer"]) for row in rows}
        return [by_key[request.request_key] for request in self.requests()]

    def repaid(self) -> list[RequestRecord]:
        """The requests whose question was asked again later."""
        asked = [record for record in self.simulator.requests() if not record.is_load_only]
        last = {record.prompt_sha256: record.number for record in asked}
        return [record for record in asked if last[record.prompt_sha256] != record.number]
