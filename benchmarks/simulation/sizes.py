"""Measures what the tables are reckoned from: tokens of a page, bytes of a row, memory of a chunk."""

import gc
import pickle
import tracemalloc
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from benchmarks.inference.asking import answered_rows, ask_what_is_open, prepare
from benchmarks.inference.pages import load_pages
from benchmarks.inference.servers import Speed, serve
from preannotation_assets.answer_store.index import AnswerIndex, IndexedAnswer, RequestSpan
from preannotation_assets.asking.planning import ChunkRow, WantedChunk, chunk_request, wanted_chunks
from preannotation_assets.contracts import ANSWERS
from preannotation_assets.lake import ObjectStore, open_store, write_table
from preannotation_assets.tasks.ask_model import AskModel, ask_model
from preannotation_assets.telemetry.request_log import RequestLog

__all__ = ["measure_sizes"]

_CHUNKS = 200_000


def measure_sizes(folder: Path) -> None:
    """Prints a line for each."""
    texts, source = load_pages(300)
    print(f"{source}; {_CHUNKS:,} made-up chunks for memory", flush=True)
    _measure_rows(texts, folder)
    chunks: list[ChunkRow] = []
    _print("ids and counts of a chunk, bytes", _grown(lambda: chunks.extend(map(_chunk, range(_CHUNKS)))))
    wanted: list[WantedChunk] = []
    _print(
        "what is to be asked of a chunk, bytes",
        _grown(lambda: wanted.extend(wanted_chunks(chunks, "f", AnswerIndex({})))),
    )
    described = pickle.dumps({place: chunk.requests for place, chunk in enumerate(wanted)})
    _print("of a task's description, bytes a chunk", len(described) / _CHUNKS)
    answers: dict[str, IndexedAnswer] = {}
    _print("index of the answers, bytes an answer", _grown(lambda: answers.update(map(_indexed, chunks))))


def _measure_rows(texts: list[str], folder: Path) -> None:
    with serve(Speed(0.0)) as url:
        batch = prepare([url], texts, folder)
        store = open_store(batch.location)
        with RequestLog(store, "requests", "run") as log:
            ask_what_is_open(batch, [url], 4, 1, _in_this_process, observers=[log.observe])
    rows = answered_rows(batch)
    constant = batch.template.prompt.constant_tokens
    _print("letters of a page", sum(map(len, texts)) / len(texts))
    _print("tokens before a page, as estimated", constant)
    pages = sum(row.estimated_tokens for row in batch.rows) / len(rows)
    _print("tokens of a page, as estimated", pages)
    _print(
        "tokens of an answer, by the stand-in's rules", sum(row["answer_tokens"] for row in rows) / len(rows)
    )
    write_table(store, "compacted.parquet", pa.Table.from_pylist(rows, schema=ANSWERS), row_group_size=500)
    _print("a row of the answer store, compacted, bytes", _bytes(store, "compacted.parquet") / len(rows))
    _print("a row of the table of requests, bytes", _bytes(store, "requests/") / len(rows))


def _bytes(store: ObjectStore, prefix: str) -> int:
    return sum(entry.size for entry in store.list(prefix))


def _in_this_process(tasks: Sequence[AskModel]) -> None:
    for task in tasks:
        ask_model(task)


def _print(name: str, value: float) -> None:
    print(f"{name:48}{value:>10,.0f}", flush=True)


def _grown(build: Callable[[], object]) -> float:
    """Bytes of Python's memory a chunk that are there when something has been built."""
    gc.collect()
    tracemalloc.start()
    build()
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return grown / _CHUNKS


def _hash(number: int) -> str:
    return sha256(str(number).encode()).hexdigest()


def _chunk(number: int) -> ChunkRow:
    part, row = divmod(number, 2_000)
    return ChunkRow(part, row, 0, 3_000, _hash(number), 1_000 + number % 500)


def _indexed(chunk: ChunkRow) -> tuple[str, IndexedAnswer]:
    request: RequestSpan = chunk_request(chunk, "f")
    moment = 1_700_000_000_000_000 + chunk.row
    file = f"answers/compacted/{chunk.part}.parquet"
    return request.request_key, IndexedAnswer("answered", moment, file, chunk.row, ())
