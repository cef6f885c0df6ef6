"""Cuts the pages of one part into chunks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from preannotation_assets.contracts import CHUNKS, PAGES
from preannotation_assets.extraction.chunking import ChunkLimits, chunk_page
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.lake import FetchedBytes, StoreLocation, open_store, read_table_as, write_batches

__all__ = ["ChunkPages", "ChunkedPart", "chunk_pages"]


@dataclass(frozen=True, slots=True)
class ChunkPages:
    """Pages in, chunks out."""

    location: StoreLocation
    pages_key: str
    chunks_key: str
    limits: ChunkLimits


@dataclass(frozen=True, slots=True)
class ChunkedPart:
    """What came of it. ``split_pages`` counts pages of more than one chunk."""

    chunks: int
    estimated_tokens: int
    split_pages: int
    fetched: FetchedBytes


def chunk_pages(task: ChunkPages) -> ChunkedPart:
    """Writes the chunks of one part of the pages, in the order of the pages.

    Raises:
        StorageError: the lake cannot be read or written.
    """
    store = open_store(task.location)
    pages = read_table_as(store, task.pages_key, PAGES, ("doc_id", "page_num", "text"))
    tokens = split_pages = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal tokens, split_pages
        for batch in pages.to_batches(max_chunksize=500):
            rows = [row for page in batch.to_pylist() for row in _chunk_rows(page, task.limits)]
            tokens += sum(row["estimated_tokens"] for row in rows)
            split_pages += sum(row["chunk_index"] == 1 for row in rows)
            yield pa.RecordBatch.from_pylist(rows, schema=CHUNKS)

    stat = write_batches(store, task.chunks_key, CHUNKS, batches())
    return ChunkedPart(stat.rows, tokens, split_pages, store.fetched)


def _chunk_rows(page: Mapping[str, Any], limits: ChunkLimits) -> Iterator[dict[str, Any]]:
    text: str = page["text"]
    for index, chunk in enumerate(chunk_page(text, limits)):
        chunk_text = text[chunk.start : chunk.end]
        yield {
            "doc_id": page["doc_id"],
            "page_num": page["page_num"],
            "chunk_index": index,
            "start": chunk.start,
            "end": chunk.end,
            "text": chunk_text,
            "chunk_sha256": text_sha256(chunk_text),
            "estimated_tokens": chunk.estimated_tokens,
        }
