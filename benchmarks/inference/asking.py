"""The two ways of asking that are compared: the pipeline's, and a bare loop with the same cap."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pyarrow as pa

from benchmarks.inference.servers import MODEL
from preannotation_assets.answer_store.index import AnswerIndex, read_answers
from preannotation_assets.asking.asker import AskingPlan
from preannotation_assets.asking.asking_plan import write_asking_shares
from preannotation_assets.asking.planning import ChunkRow, chunk_request, survey_chunks, wanted_chunks
from preannotation_assets.contracts import CHUNKS, AnswerStatus
from preannotation_assets.extraction.labels import parse_label_scheme
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.extraction.tokens import estimate_tokens
from preannotation_assets.lake import StoreLocation, open_store, write_table
from preannotation_assets.lake.layout import part_key
from preannotation_assets.model_servers.http_client import Timeouts
from preannotation_assets.model_servers.load_watch import watched_load
from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.ollama.wire import chat_body
from preannotation_assets.model_servers.preflight import identify_model
from preannotation_assets.model_servers.preloading import preload
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.model_servers.template import ModelOptions, RequestTemplate
from preannotation_assets.tasks.ask_model import AskModel
from preannotation_assets.throttling.dispatcher import Limits, Progress
from preannotation_assets.throttling.permit_messages import PermitReport
from preannotation_assets.throttling.permit_server import PermitServer

__all__ = [
    "Batch",
    "RunTasks",
    "answered_rows",
    "ask_bare",
    "ask_through_faults",
    "ask_what_is_open",
    "ask_with_pipeline",
    "kept_answers",
    "prepare",
]

RunTasks = Callable[[Sequence[AskModel]], None]

_OLLAMA = OllamaServer()
_CHUNKS = "chunks"
_PART_ROWS = 2_000
_ANSWERS = "answers"


@dataclass(frozen=True)
class Batch:
    """Texts in a lake, and the request they are asked with."""

    texts: Sequence[str]
    rows: Sequence[ChunkRow]
    template: RequestTemplate
    folder: Path
    server: ModelServer = _OLLAMA

    @property
    def location(self) -> StoreLocation:
        """The lake."""
        return StoreLocation(str(self.folder))


def prepare(urls: Sequence[str], texts: Sequence[str], folder: Path, server: ModelServer = _OLLAMA) -> Batch:
    """Writes the texts into a new lake and loads the model everywhere."""
    scheme = (resources.files("preannotation_assets") / "label_schemes" / "vessels.yaml").read_text("utf-8")
    identity = identify_model(server, urls, MODEL, {}, Timeouts())
    server = server.for_variant(identity.variant)
    template = RequestTemplate(
        MODEL,
        identity.digest,
        build_prompt(parse_label_scheme(scheme, "vessels")),
        ModelOptions(24_576, 3_072),
    )
    preload(server, urls, template, {}, Timeouts())
    rows = [
        ChunkRow(*divmod(place, _PART_ROWS), 0, len(text), text_sha256(text), estimate_tokens(text))
        for place, text in enumerate(texts)
    ]
    batch = Batch(texts, rows, template, folder / uuid4().hex, server)
    store = open_store(batch.location)
    for part, chunks in groupby(zip(rows, texts, strict=True), key=lambda chunk: chunk[0].part):
        table = [_chunk(row, text) for row, text in chunks]
        write_table(store, part_key(_CHUNKS, part), pa.Table.from_pylist(table, schema=CHUNKS))
    return batch


def _chunk(row: ChunkRow, text: str) -> dict[str, object]:
    """A row of CHUNKS."""
    return {
        "doc_id": f"d{row.part}.{row.row}",
        "page_num": 1,
        "chunk_index": 0,
        "start": 0,
        "end": row.end,
        "text": text,
        "chunk_sha256": row.chunk_sha256,
        "estimated_tokens": row.estimated_tokens,
    }


def ask_with_pipeline(
    batch: Batch, urls: Sequence[str], cap: int, tasks: int, run_tasks: RunTasks
) -> Progress:
    """Asks everything as the asset does, in that many tasks; makes sure that all is answered and kept."""
    progress = ask_what_is_open(batch, urls, cap, tasks, run_tasks)
    kept, texts = len(kept_answers(batch)), len({row.chunk_sha256 for row in batch.rows})
    if not progress.answered == kept == texts:
        raise RuntimeError(f"{progress.answered} answered and {kept} kept of {texts}")
    return progress


def ask_what_is_open(
    batch: Batch,
    urls: Sequence[str],
    cap: int,
    tasks: int,
    run_tasks: RunTasks,
    flush_seconds: float = 3.0,
    least: int = 1,
    observers: Sequence[Callable[[str, PermitReport], None]] = (),
) -> Progress:
    """Asks what the store has no answer to, with ``least`` to ``cap`` in flight."""
    index = AnswerIndex.read(open_store(batch.location), _ANSWERS)
    with (
        PermitServer(
            urls, Limits(cap, least), semaphore_folder=batch.folder / "slots", observers=observers
        ) as server,
        watched_load(
            batch.server, urls, {}, lambda url, load: server.record_load(url, load.running, load.waiting)
        ),
    ):
        asking = AskingPlan(
            batch.template, RetryPolicy(), Timeouts(), server.address, cap * len(urls), 200, uuid4().hex
        )
        run_tasks(_tasks(batch, index, asking, flush_seconds, tasks))
        return server.progress()


def kept_answers(batch: Batch) -> dict[str, str]:
    """The answers in the store, by request key."""
    return {row["request_key"]: row["answer"] for row in answered_rows(batch)}


def answered_rows(batch: Batch) -> list[dict[str, Any]]:
    """The rows of the store that hold an answer."""
    store = open_store(batch.location)
    index = AnswerIndex.read(store, _ANSWERS)
    keys = [chunk_request(row, batch.template.fingerprint).request_key for row in batch.rows]
    known = {key: answer for key in keys if (answer := index.get(key))}
    rows = read_answers(store, known).to_pylist()
    return [row for row in rows if row["status"] == AnswerStatus.ANSWERED]


def ask_through_faults(batch: Batch, urls: Sequence[str], cap: int, run_tasks: RunTasks) -> Counter[str]:
    """Asks everything; counts how the requests ended: answered, or the reason of their failure."""
    store = open_store(batch.location)
    # Waits are short, because what is measured is what becomes of requests and not how long it takes.
    limits = Limits(cap, max_failure_rate=1.0, linger_seconds=0.02, first_rest_seconds=0.02)
    policy = RetryPolicy(first_backoff=0.02, longest_backoff=0.2)
    with PermitServer(urls, limits) as server:
        asking = AskingPlan(batch.template, policy, Timeouts(), server.address, cap * len(urls), 200, "run")
        run_tasks(_tasks(batch, AnswerIndex(), asking, 3.0, 1))
    index = AnswerIndex.read(store, _ANSWERS)
    keys = {chunk_request(row, batch.template.fingerprint).request_key for row in batch.rows}
    known = {key: answer for key in keys if (answer := index.get(key))}
    rows = read_answers(store, known).to_pylist()
    return Counter(str(row["reason"] or row["status"]) for row in rows)


def _tasks(
    batch: Batch, index: AnswerIndex, asking: AskingPlan, flush_seconds: float, tasks: int
) -> list[AskModel]:
    """The tasks for what the index has no answer to."""
    fingerprint = batch.template.fingerprint
    shares = write_asking_shares(
        open_store(batch.location),
        f"plans/{uuid4()}",
        wanted_chunks(batch.rows, fingerprint, index),
        survey_chunks(batch.rows, fingerprint, index).tokens,
        tasks,
    )
    return [
        AskModel(
            batch.location,
            f"{_ANSWERS}/{asking.run_id}",
            _CHUNKS,
            share,
            asking,
            batch.server,
            frozenset(),
            flush_seconds,
        )
        for share in shares
    ]


def ask_bare(batch: Batch, urls: Sequence[str], cap: int) -> None:
    """Workers on one queue, as many for each server as its cap; nothing is kept."""
    asyncio.run(_ask_bare(batch, urls, cap))


async def _ask_bare(batch: Batch, urls: Sequence[str], cap: int) -> None:
    queue = iter(sorted(batch.texts, key=len, reverse=True))
    limits = httpx.Limits(max_connections=cap * len(urls))
    async with httpx.AsyncClient(timeout=900, limits=limits) as client:

        async def work(url: str) -> None:
            for text in queue:
                body = chat_body(batch.template, text, "30m", stream=False)
                response = await client.post(f"{url}/api/chat", json=body)
                response.raise_for_status().json()

        await asyncio.gather(*(work(url) for url in urls for _ in range(cap)))
