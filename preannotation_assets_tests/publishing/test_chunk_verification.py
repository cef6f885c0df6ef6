"""Chunks held against their pages."""

from typing import Any

from shared.published_dataset import page_rows

from preannotation_assets.publishing.chunk_verification import ChunkFault, ChunkRule, verify_chunks


def whole_page(page: dict[str, Any]) -> dict[str, Any]:
    return page | {"start": 0, "end": len(page["text"])}


def test_a_chunk_without_a_page_accuses_no_other_page() -> None:
    pages = page_rows()
    stray = [whole_page(pages[0] | {"doc_id": doc_id}) for doc_id in ("vessels_ocr_0", "vessels_ocr_1/aa")]
    chunks = sorted([*map(whole_page, pages), *stray], key=lambda row: (row["doc_id"], row["page_num"]))
    found = verify_chunks(iter(pages), chunks)
    assert (found.chunks, found.count) == (5, 2)
    assert found.first == [ChunkFault(ChunkRule.PAGE, row["doc_id"], 1) for row in stray]


def test_a_page_without_chunks_is_not_covered() -> None:
    pages = page_rows()
    found = verify_chunks(iter(pages), map(whole_page, pages[::2]))
    assert found.first == [ChunkFault(ChunkRule.COVERAGE, pages[1]["doc_id"], 2)]
