"""Reports as files: written of pages that a test makes up, and read as a browser reads them."""

import base64
import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from preannotation_assets.extraction.labels import LabelScheme, parse_label_scheme
from preannotation_assets.manifests import FailedPage, SuggestionsManifest
from preannotation_assets.publishing.distribution import Distribution
from preannotation_assets.publishing.report.data import (
    Counts,
    PageState,
    RejectedQuote,
    ReportedPage,
    ReportedSpan,
    packed,
)
from preannotation_assets.publishing.report.documents import Chunk, Overview, write_pages
from preannotation_assets.publishing.request_account import RequestAccount

SCHEME = parse_label_scheme(
    """
name: vessels
version: "1"
labels:
  - name: port
    title: Harbour or place
    definition: A port.
    color: "#112233"
  - name: vessel_name
    definition: A vessel.
""",
    "vessels.yaml",
)

_CHUNK = re.compile(r'<script type="text/plain" data-chunk="(\w+)">([^<]*)</script>')
_CHUNK_PAGES = 50


def unpacked(text: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(text)))


@dataclass(frozen=True, slots=True)
class ShownPage:
    """A page as a file has it; confidences are in thousandths."""

    doc_id: str
    page_num: int | None
    state: str
    reason: str | None
    spans: list[tuple[str, int, int, int | None]]
    text: str
    rejected: list[tuple[str, str, str]]


def pages_in(path: Path) -> list[ShownPage]:
    """The pages of a file, in its order."""
    chunks = _CHUNK.findall(path.read_text("utf-8"))
    marks = [page for kind, text in chunks if kind == "marks" for page in unpacked(text)]
    texts = [page for kind, text in chunks if kind == "texts" for page in unpacked(text)]
    return [
        ShownPage(
            doc, number, state, reason, [(*span,) for span in spans], text, [(*each,) for each in rejected]
        )
        for (doc, number, state, reason, _, _, spans), (text, rejected) in zip(marks, texts, strict=True)
    ]


def a_page(
    number: int,
    text: str,
    spans: Sequence[tuple[int, int, str, float | None]] = (),
    *,
    doc_id: str = "vessels_ocr_1/log",
    rejected: Sequence[tuple[str, str, str]] = (),
    reason: str | None = None,
) -> ReportedPage:
    state = PageState.FAILED if reason else PageState.MARKED if spans else PageState.WITHOUT_SPANS
    return ReportedPage(
        doc_id, number, state, text, [ReportedSpan(*span) for span in spans],
        [RejectedQuote(*each) for each in rejected], reason,
    )  # fmt: skip


def manifest(**changes: Any) -> SuggestionsManifest:
    return SuggestionsManifest(
        dataset="vessels_ocr_1", rows=0, bytes=0, pages_processed=0, pages_with_spans=0,
        pages_without_spans=[], failed_pages=list[FailedPage](), spans_by_label={}, quotes_by_outcome={},
        groundings_by_match={}, model="llama3.3:70b", model_version="v", prompt_version="p",
        input_version="i", content_hash="", parquet_etag="", run_id="run",
        published_at=datetime(2026, 3, 14, 9, 26, tzinfo=UTC),
    ).model_copy(update=changes)  # fmt: skip


def write_file(
    path: Path, pages: Sequence[ReportedPage], scheme: LabelScheme = SCHEME, **changes: Any
) -> Path:
    """Writes one file with these pages, as a report has them."""
    counts, chunks = Counts(), []
    for first in range(0, len(pages), _CHUNK_PAGES):
        some = pages[first : first + _CHUNK_PAGES]
        chunks.append(Chunk("marks", packed([page.marks for page in some])))
        chunks.append(Chunk("texts", packed([page.content for page in some])))
    for page in pages:
        counts.add(page)
    requests = RequestAccount(Distribution.of([1.5, 3.0]), Distribution.of([800]), Distribution.of([40]))
    overview = Overview(manifest(**changes), scheme, requests, "subject")
    with path.open("w", encoding="utf-8") as target:
        write_pages(target, overview, counts, iter(chunks), (1, 1))
    return path
