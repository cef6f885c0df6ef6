"""Asks the model about a share of the chunks; every answer goes to the answer store as it arrives."""

import asyncio
import gc
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from preannotation_assets.answer_store.index import AnswerIndex, RequestSpan
from preannotation_assets.answer_store.writer import AnswerWriter
from preannotation_assets.asking.asker import AskingPlan, ask_all
from preannotation_assets.asking.asking_plan import AskingShare, read_asking_share
from preannotation_assets.asking.event_loop import AskingLoop, Quiet
from preannotation_assets.asking.work_queue import WorkItem
from preannotation_assets.contracts import CHUNKS
from preannotation_assets.errors import ModelError
from preannotation_assets.lake import FetchedBytes, ObjectStore, StoreLocation, open_store, read_table_as
from preannotation_assets.lake.layout import part_key
from preannotation_assets.model_servers.http_client import ChatClient
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.throttling.open_files import allow_open_files

__all__ = ["AskModel", "ask_model", "require_same_digest"]

_TEXT_COLUMNS: Final = ("start", "text", "estimated_tokens")
_CHUNKS_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class AskModel:
    """The share of one task: what it asks is in the lake, so this is as short for any number of chunks.

    ``answers_folder`` is where the answers of this run go.
    """

    location: StoreLocation
    answers_folder: str
    chunks_folder: str
    share: AskingShare
    asking: AskingPlan
    server: ModelServer
    streamed: frozenset[str]
    flush_seconds: float


def ask_model(task: AskModel) -> FetchedBytes:
    """Asks everything of a share; returns what was fetched, when every request has a row in the answer store.

    What this run has answered already is not asked again: Spark starts a task anew whose worker
    died. Secrets for the headers come from this process's own environment, so that none passes
    through Spark.

    Raises:
        RunStoppedError: the driver hands out no more permits.
        InferenceError: no request can succeed before somebody acts.
        SettingsError: this process may not open as many connections.
        StorageError: the chunks cannot be read, or answers cannot be kept.
    """
    allow_open_files(task.asking.askers)
    loop = AskingLoop()
    with _short_collections(), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(_ask(task, loop.quiet))


@contextmanager
def _short_collections() -> Iterator[None]:
    """Spares what was imported: a collection of everything takes 0.2 s, and no reply is read in that time.

    Only meanwhile: what is alive now may be garbage after the task, in a process that goes on.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def _ask(task: AskModel, quiet: Quiet) -> FetchedBytes:
    store = open_store(task.location)
    asking = task.asking
    # Not closed here: a thread that reads ahead may still look something up when the asking has ended.
    done = await asyncio.to_thread(AnswerIndex.read, store, task.answers_folder)
    async with ChatClient(task.server, asking.timeouts, os.environ, task.streamed) as client:

        async def approve(endpoint: str) -> None:
            await require_same_digest(client, asking.template, endpoint)

        async with AnswerWriter(store, task.answers_folder, task.flush_seconds, approve) as answers:
            await ask_all(asking, client, answers, _groups(store, task, done), quiet)
    return store.fetched


async def require_same_digest(client: ChatClient, template: RequestTemplate, endpoint: str) -> None:
    """Makes sure that an endpoint still has the model the run began with.

    Called after answers came and before they are kept, so that none is kept under a wrong digest. An
    endpoint that cannot be asked now has not been seen to change.

    Raises:
        ModelError: it has another model under the name now.
    """
    digest = await client.digest(endpoint, template)
    if digest is not None and digest != template.digest:
        raise ModelError(
            f"{template.model} changed on {endpoint} during the run, in weights, template or parameters"
            f" ({template.digest[:12]} is now {digest[:12]})",
            "restore it to go on with the answers so far, or run again to ask all anew",
        )


def _groups(store: ObjectStore, task: AskModel, done: AnswerIndex) -> Iterator[list[WorkItem]]:
    """The requests for some chunks at a time, without those that are done."""
    for part, asked in read_asking_share(store, task.share):
        chunks = read_table_as(store, part_key(task.chunks_folder, part), CHUNKS, _TEXT_COLUMNS)
        waiting = iter(asked.items())
        while rows := dict(itertools.islice(waiting, _CHUNKS_AT_ONCE)):
            yield list(_work_items(chunks.take(pa.array(list(rows), pa.int64())), rows.values(), done))


def _work_items(
    chunks: pa.Table, asked: Iterable[Sequence[RequestSpan]], done: AnswerIndex
) -> Iterator[WorkItem]:
    """What is asked about each of the chunks, as far as nothing is known of it, not even a failure."""
    wanted = [
        (chunk, request)
        for chunk, requests in zip(chunks.to_pylist(), asked, strict=True)
        for request in requests
    ]
    all_leaves = done.leaves_of_each(request for _, request in wanted)
    for (chunk, _), leaves in zip(wanted, all_leaves, strict=True):
        for request, answer in leaves:
            if answer is None:
                yield _work_item(request, chunk["start"], chunk["text"], chunk["estimated_tokens"])


def _work_item(request: RequestSpan, chunk_start: int, chunk_text: str, chunk_tokens: int) -> WorkItem:
    text = chunk_text[request.start - chunk_start : request.end - chunk_start]
    share = len(text) / max(1, len(chunk_text))
    return WorkItem(
        request.request_key,
        request.start,
        request.end,
        text,
        max(1, round(chunk_tokens * share)),
        unusable_splits=request.unusable_splits,
    )
