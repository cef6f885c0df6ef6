import pickle
from pathlib import Path

import pyarrow as pa

from preannotation_assets.contracts import CHUNKS, PAGES
from preannotation_assets.extraction.chunking import ChunkLimits
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.lake import StoreLocation, open_store, read_table, write_table
from preannotation_assets.tasks.chunk_pages import ChunkPages, chunk_pages


def test_chunks_are_pieces_of_their_pages_in_order(tmp_path: Path) -> None:
    location = StoreLocation(str(tmp_path))
    store = open_store(location)
    texts = ["", " \n", "short 🚢\r\n", "Eine lange Seite mit é und 🚢. " * 300, "x" * 9000]
    rows = [
        {"doc_id": "doc", "page_num": number, "text": text, "text_sha256": text_sha256(text)}
        for number, text in enumerate(texts)
    ]
    write_table(store, "pages.parquet", pa.Table.from_pylist(rows, schema=PAGES))
    task = ChunkPages(location, "pages.parquet", "chunks.parquet", ChunkLimits(400, 40, 1.0))
    part = chunk_pages(pickle.loads(pickle.dumps(task)))
    table = read_table(store, "chunks.parquet")
    assert table.schema.equals(CHUNKS)
    chunks = table.to_pylist()
    assert part.chunks == len(chunks)
    assert part.split_pages == 2
    assert part.estimated_tokens == sum(chunk["estimated_tokens"] for chunk in chunks)
    assert [(chunk["page_num"], chunk["chunk_index"]) for chunk in chunks] == sorted(
        (chunk["page_num"], chunk["chunk_index"]) for chunk in chunks
    )
    for number, text in enumerate(texts):
        mine = [chunk for chunk in chunks if chunk["page_num"] == number]
        covered = set()
        for chunk in mine:
            assert text[chunk["start"] : chunk["end"]] == chunk["text"]
            assert chunk["chunk_sha256"] == text_sha256(chunk["text"])
            assert chunk["estimated_tokens"] <= 400
            covered.update(range(chunk["start"], chunk["end"]))
        assert not mine if not text.strip() else covered == set(range(len(text)))
