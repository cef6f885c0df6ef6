"""Published folders made by hand: what a second load changes, and a page that Argilla refuses."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from preannotation_assets.contracts import PAGES, SUGGESTIONS, span_id
from preannotation_assets.extraction.pages import text_sha256

__all__ = ["write_two_loads"]

Row = dict[str, Any]


def row_of(name: str, text: str, quote: str, hashed: str | None = None) -> Row:
    start = text.index(quote)
    end = start + len(quote)
    return {
        "doc_id": name, "page_num": 1, "span_id": span_id(name, 1, start, end, "port"), "label": "port",
        "start": start, "end": end, "text": quote, "text_sha256": text_sha256(hashed or text),
        "confidence": 0.5, "model": "m", "model_version": "v", "generated_at": 0,
    }  # fmt: skip


def write_published(
    folder: Path, texts: dict[str, str], rows: Sequence[Row], without: Sequence[str] = (),
    failed: Sequence[str] = (),
) -> None:  # fmt: skip
    """A published folder by hand, with what a loader reads of its manifest."""
    folder.mkdir()
    pages = [
        {"doc_id": name, "page_num": 1, "text": text, "text_sha256": text_sha256(text)}
        for name, text in texts.items()
    ]
    pq.write_table(pa.Table.from_pylist(pages, schema=PAGES), folder / "pages.parquet")
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SUGGESTIONS), folder / "suggestions.parquet")
    content = (folder / "suggestions.parquet").read_bytes()
    manifest = {
        "content_hash": hashlib.sha256(content).hexdigest(), "model": "m", "model_version": "v",
        "pages_without_spans": [
            {"doc_id": name, "page_num": 1, "text_sha256": text_sha256(texts[name])} for name in without
        ],
        "failed_pages": [{"doc_id": name, "page_num": 1, "reason": "timed_out"} for name in failed],
        "published_at": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    (folder / "_manifest.json").write_text(json.dumps(manifest), "utf-8")


def write_two_loads(folder: Path) -> None:
    """A dataset that is loaded twice, and one with a page that Argilla refuses."""
    names = ("moved", "vanished", "failed", "outside", "changed", "grown", "ahead")
    first = dict.fromkeys(names, "From Hull to Kiel")
    write_published(folder / "first", first, [row_of(name, text, "Hull") for name, text in first.items()])
    second = first | {"changed": "To Kiel, Hull, Bremen", "grown": "From Hull to Kiel, and then on to Bremen"}
    rows = [
        row_of("moved", second["moved"], "Kiel"),
        row_of("changed", first["changed"], "Kiel"),
        row_of("grown", second["grown"], "Bremen"),
        row_of("ahead", "Kiel is a newer text", "Kiel"),
        row_of("new", "In Hull", "Hull"),
    ]
    write_published(folder / "second", second | {"new": "In Hull"}, rows, ["vanished"], ["failed"])
    texts = {f"page {number}": "From Hull to Kiel" for number in range(7)}
    rows = [row_of(name, text, "Hull") for name, text in texts.items()]
    rows.append(row_of("page 5", texts["page 5"], "Hull to"))
    write_published(folder / "bad", texts, rows)
