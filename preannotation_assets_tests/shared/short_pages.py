"""Short pages of one chunk each, in a lake, and a scheme of two labels to ask about them."""

from collections.abc import Sequence

import pyarrow as pa

from preannotation_assets.contracts import CHUNKS
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.lake import ObjectStore, write_table

__all__ = ["SCHEME", "texts", "write_chunks"]

SCHEME = """
name: short
version: 1
labels:
  - {name: vessel_name, definition: The name of a vessel.}
  - {name: port, definition: A port.}
"""


def texts(count: int) -> list[str]:
    return [f"Log {number}: MV OCEAN STAR left Rotterdam for Hamburg." for number in range(count)]


def write_chunks(store: ObjectStore, key: str, pages: Sequence[str]) -> None:
    """Writes one part of chunks: page 1 of the documents d0, d1, …, whole."""
    rows = [
        {
            "doc_id": f"d{number}",
            "page_num": 1,
            "chunk_index": 0,
            "start": 0,
            "end": len(text),
            "text": text,
            "chunk_sha256": text_sha256(text),
            "estimated_tokens": len(text) // 4,
        }
        for number, text in enumerate(pages)
    ]
    write_table(store, key, pa.Table.from_pylist(rows, schema=CHUNKS))
