"""Measures what the tables are reckoned from: tokens of a page, bytes of a row, of a chunk on disk."""

import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from benchmarks.inference.asking import answered_rows, ask_what_is_open, prepare
from benchmarks.inference.pages import load_pages
from benchmarks.inference.servers import Speed, serve
from preannotation_assets.answer_store.index import AnswerIndex, IndexedAnswer, RequestSpan
from preannotation_assets.asking.planning import ChunkRow, chunk_request
from preannotation_assets.contracts import ANSWERS, CHUNKS
from preannotation_assets.lake import ObjectStore, open_store, write_table
from preannotation_assets.lake.table_spool import TableSpool
from preannotation_assets.tasks.ask_model import AskModel, ask_model
from preannotation_assets.telemetry.request_log import RequestLog

__all__ = ["measure_sizes"]

_CHUNKS = 200_000
_PART_ROWS = 2_000
_SPOOLED = pa.schema([column for column in CHUNKS if column.name != "text"])


def measure_sizes(folder: Path) -> None:
    """Prints a line for each."""
    texts, source = load_pages(300)
    print(f"{source}; {_CHUNKS:,} made-up chunks for memory", flush=True)
    _measure_rows(texts, folder)
    _measure_on_disk()


def _measure_on_disk() -> None:
    """What the driver looks up; what it holds in memory is measured by ``benchmarks.cost.driver``."""
    chunks = list(map(_chunk, range(_CHUNKS)))
    index, spool = AnswerIndex(), TableSpool()
    _fill_index(index, chunks)
    _fill_spool(spool, chunks)
    _print("index, ids and counts on disk, bytes a chunk", _temporary_bytes() / _CHUNKS)


def _fill_index(index: AnswerIndex, chunks: Sequence[ChunkRow]) -> None:
    for chunk in chunks:
        index.add(*_indexed(chunk))


def _fill_spool(spool: TableSpool, chunks: Sequence[ChunkRow]) -> None:
    for start in range(0, len(chunks), _PART_ROWS):
        rows = [
            {"doc_id": f"vessels_ocr_1/{chunk.row:06}", "page_num": 1, "chunk_index": 0}
            | {name: getattr(chunk, name) for name in ("start", "end", "chunk_sha256", "estimated_tokens")}
            for chunk in chunks[start : start + _PART_ROWS]
        ]
        spool.append(pa.Table.from_pylist(rows, schema=_SPOOLED))


def _temporary_bytes() -> int:
    """Of this process: others have their own TMPDIR, or none of such files."""
    folders = Path(tempfile.gettempdir()).glob("preannotation-tmp-*")
    return sum(file.stat().st_size for folder in folders for file in folder.iterdir())


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
