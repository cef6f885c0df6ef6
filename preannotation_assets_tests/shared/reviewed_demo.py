"""The demo's pages, published with planted suggestions, and experts who did something known to each of them.

Neither a model nor Spark has a part in it: places are words of the pages that are far from each other, and
what the experts do with each is drawn from a seed, so that every count of an evaluation is known beforehand.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
from rapidfuzz import fuzz

from preannotation_assets.contracts import GROUNDINGS, PAGES, RESPONSES, SUGGESTIONS, span_id
from preannotation_assets.demo.sample import SAMPLE_DATASET, SamplePage, sample_pages
from preannotation_assets.evaluation.actions import ADDED, Fate
from preannotation_assets.evaluation.losses import Loss
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, write_table
from preannotation_assets.lake.batch import write_manifest
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import FailedPage, PagesManifest, PageVersion, SuggestionsManifest
from preannotation_assets.publishing.publisher import publish
from preannotation_assets.publishing.verification import SpanRules
from shared.raw_outputs import write_raw_outputs

__all__ = ["LAYOUT", "ReviewedDemo", "add_responses_view", "review_demo"]

LAYOUT = DatasetLayout(SAMPLE_DATASET)
LABELS = ("vessel_name", "port", "owner")
MODEL, VERSION = "llama3.3:70b", f"sha256:{'ab' * 32}/spans-2"
MORNING, NOON = datetime(2026, 3, 1, 9, tzinfo=UTC), datetime(2026, 3, 1, 12, tzinfo=UTC)
MOST_A_PAGE = 12
APART = 25

Row = dict[str, Any]
_DEEDS = (*[Fate.KEPT] * 8, *Fate, ADDED, ADDED)
_LOSSES = {
    Loss.NOT_ANSWERED: None,
    Loss.NOT_GROUNDED: "not_found",
    Loss.DROPPED: "overlap",
    Loss.CUT_BY_RULE: "invalid_value",
}


@dataclass
class ReviewedDemo:
    """What was published, what experts answered, and what an evaluation must find."""

    store: ObjectStore
    pages: dict[tuple[str, int], SamplePage]
    suggested: list[Row] = field(default_factory=list)
    quotes: list[Row] = field(default_factory=list)
    responses: list[Row] = field(default_factory=list)
    failed: tuple[str, int] = ("", 0)
    actions: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    gold: int = 0
    reviewed: int = 0
    reviewed_twice: int = 0

    def empty_every_second_document(self) -> None:
        """Leaves one response a page, in half of the documents without spans."""
        emptied = set(sorted({doc_id for doc_id, _ in self.pages})[::2])
        self.responses = [
            row | ({"spans": []} if row["doc_id"] in emptied else {})
            for row in self.responses
            if row["annotator"] == "ada"
        ]

    def write_requests(self) -> None:
        """Puts a request a page into the lake, of 120 tokens and 2 seconds."""
        requests = [
            {"doc_id": doc_id, "page_num": number, "request_key": f"{doc_id} {number}"}
            for doc_id, number in sorted(self.pages)
        ]
        manifest = write_raw_outputs(self.store, LAYOUT, requests)
        write_manifest(self.store, LAYOUT.stage_manifest("raw_model_outputs"), manifest)

    def write_responses(self) -> None:
        """Puts the responses into the lake, in two files."""
        for number in range(2):
            table = pa.Table.from_pylist(self.responses[number::2], schema=RESPONSES)
            write_table(self.store, part_key(LAYOUT.responses, number), table)


def review_demo(root: Path, seed: int = 1) -> ReviewedDemo:
    """Publishes the demo below ``root`` and has most of its pages reviewed; responses are not written yet."""
    demo = ReviewedDemo(
        open_store(StoreLocation(str(root))), {(page.doc_id, page.page_num): page for page in sample_pages()}
    )
    random = Random(seed)
    every = list(demo.pages.values())
    demo.failed = max(((page.doc_id, page.page_num) for page in every), key=lambda key: key[0])
    for number, page in enumerate(every):
        _review(demo, page, number, random)
    _add_what_does_not_count(demo, every)
    _publish(demo)
    return demo


def _review(demo: ReviewedDemo, page: SamplePage, number: int, random: Random) -> None:
    has_failed = (page.doc_id, page.page_num) == demo.failed
    # Every tenth page was reviewed by nobody.
    is_reviewed = number % 10 != 9 or has_failed
    actions: Counter[str] = Counter()
    gold: list[Row] = []
    words: list[str] = []
    for start, end in _places(page.text):
        deed, label = random.choice(_DEEDS), random.choice(LABELS)
        loss = random.choice(list(_LOSSES))
        word = page.text[start:end].casefold()
        if any(fuzz.ratio(word, other) > 60 for other in words):
            # A quote could be taken for that of another word.
            deed = Fate.KEPT
        if has_failed:
            deed, loss = ADDED, Loss.PAGE_FAILED
        elif deed != ADDED:
            demo.suggested.append(_suggestion(page, start, end, label, round(random.random(), 3)))
            _quote(demo, page, start, end, label, "kept", demo.suggested[-1]["confidence"])
        else:
            words.append(word)
            _quote(demo, page, start, end, label, _LOSSES[loss])
        actions[deed] += 1
        if is_reviewed and deed == ADDED:
            demo.losses[loss] += 1
        gold += _gold(deed, start, end, label)
    if is_reviewed:
        demo.actions.update(actions)
        demo.gold += len(gold)
        demo.reviewed += 1
        demo.responses.append(_response(page, "ada", NOON, gold))
    if is_reviewed and number % 2:
        demo.reviewed_twice += 1
        demo.responses.append(_response(page, "bob", MORNING, gold[:-1]))


def _places(text: str) -> Iterator[tuple[int, int]]:
    """Words far from each other."""
    last, count = -APART, 0
    for word in re.finditer(r"\w{4,}", text):
        if word.start() >= last + APART and count < MOST_A_PAGE:
            yield word.span()
            last, count = word.end(), count + 1


def _gold(deed: str, start: int, end: int, label: str) -> list[Row]:
    other = LABELS[(LABELS.index(label) + 1) % len(LABELS)]
    match deed:
        case Fate.DELETED:
            return []
        case Fate.BORDER_MOVED:
            return [{"start": start + 1, "end": end, "label": label}]
        case Fate.LABEL_CHANGED:
            return [{"start": start, "end": end, "label": other}]
        case Fate.BOTH_CHANGED:
            return [{"start": start, "end": end - 1, "label": other}]
        case _:
            return [{"start": start, "end": end, "label": label}]


def _suggestion(page: SamplePage, start: int, end: int, label: str, confidence: float) -> Row:
    return {
        "doc_id": page.doc_id, "page_num": page.page_num, "label": label, "start": start, "end": end,
        "span_id": span_id(page.doc_id, page.page_num, start, end, label), "text": page.text[start:end],
        "text_sha256": page.text_sha256, "confidence": confidence, "model": MODEL, "model_version": VERSION,
        "generated_at": MORNING,
    }  # fmt: skip


def _quote(
    demo: ReviewedDemo,
    page: SamplePage,
    start: int,
    end: int,
    label: str,
    outcome: str | None,
    confidence: float | None = None,
) -> None:
    if outcome is None:
        return
    place = {} if outcome == "not_found" else {"start": start, "end": end, "similarity": 1.0}
    demo.quotes.append(
        {
            "doc_id": page.doc_id, "page_num": page.page_num, "chunk_start": 0,
            "answer_index": len(demo.quotes), "label": label, "quote": page.text[start:end],
            "outcome": outcome, "confidence": confidence, **place,
        }
    )  # fmt: skip


def _response(
    page: SamplePage,
    annotator: str,
    at: datetime,
    spans: Sequence[Row],
    status: str = "submitted",
    text_sha256: str = "",
) -> Row:
    return {
        "doc_id": page.doc_id, "page_num": page.page_num, "text_sha256": text_sha256 or page.text_sha256,
        "annotator": annotator, "status": status, "submitted_at": at, "spans": list(spans),
    }  # fmt: skip


def _add_what_does_not_count(demo: ReviewedDemo, pages: Sequence[SamplePage]) -> None:
    demo.responses += [
        _response(pages[0], "cyd", NOON, [], "draft"),
        _response(pages[1], "cyd", NOON, [], "discarded"),
        _response(pages[2], "cyd", NOON, [], text_sha256="before"),
        _response(pages[3], "cyd", NOON, [{"start": 0, "end": 10**6, "label": "port"}]),
        _response(SamplePage(f"{SAMPLE_DATASET}/elsewhere", 1, ""), "cyd", NOON, []),
    ]


def _publish(demo: ReviewedDemo) -> None:
    pages = list(demo.pages.values())
    rows = [
        {"doc_id": page.doc_id, "page_num": page.page_num, "text": page.text, "text_sha256": page.text_sha256}
        for page in pages
    ]
    store = demo.store
    write_table(store, part_key(LAYOUT.stage("pages", "v1"), 0), pa.Table.from_pylist(rows, schema=PAGES))
    snapshot = PagesManifest(
        dataset=LAYOUT.dataset, version="v1", content_hash="h", part_rows=[len(pages)], pages=len(pages),
        empty_pages=0, characters=0, collapsed_duplicates=0, failed_pages=[], doc_ids_not_found=0,
    )  # fmt: skip
    write_manifest(store, LAYOUT.stage_manifest("pages"), snapshot)
    folder = LAYOUT.stage("suggestions", "i")
    table = pa.Table.from_pylist(demo.suggested, schema=SUGGESTIONS)
    write_table(store, part_key(f"{folder}/rows", 0), table)
    write_table(
        store, part_key(f"{folder}/groundings", 0), pa.Table.from_pylist(demo.quotes, schema=GROUNDINGS)
    )
    marked = {(row["doc_id"], row["page_num"]) for row in demo.suggested}
    without = [
        PageVersion(doc_id=page.doc_id, page_num=page.page_num, text_sha256=page.text_sha256)
        for key, page in demo.pages.items()
        if key not in marked and key != demo.failed
    ]
    draft = SuggestionsManifest(
        dataset=LAYOUT.dataset, rows=0, bytes=0, pages_processed=len(marked) + len(without),
        pages_with_spans=len(marked), pages_without_spans=without,
        failed_pages=[FailedPage(doc_id=demo.failed[0], page_num=demo.failed[1], reason="timed_out")],
        spans_by_label=dict(Counter(row["label"] for row in demo.suggested)), quotes_by_outcome={},
        groundings_by_match={}, model=MODEL, model_version=VERSION, prompt_version="p", input_version="i",
        content_hash="", parquet_etag="", run_id="run", published_at=NOON,
    )  # fmt: skip
    publish(
        store, LAYOUT, [part_key(f"{folder}/rows", 0)], snapshot, draft,
        SpanRules(LABELS, overlaps_allowed=False), 1.0,
    )  # fmt: skip


def add_responses_view(database: Path, responses: Sequence[Row]) -> None:
    """The view of responses in a DuckDB file, as the documentation has its columns."""
    with duckdb.connect(str(database)) as connection:
        connection.execute(
            "CREATE TABLE r(doc_id VARCHAR, page_num INTEGER, text_sha256 VARCHAR, annotator VARCHAR, "
            'status VARCHAR, submitted_at TIMESTAMP, spans STRUCT("start" INTEGER, "end" INTEGER, '
            "label VARCHAR)[])"
        )
        connection.execute("CREATE VIEW vw_argilla_responses AS SELECT * FROM r")
        names = RESPONSES.names
        rows = [
            [row[name].replace(tzinfo=None) if name == "submitted_at" else row[name] for name in names]
            for row in responses
        ]
        if rows:
            connection.executemany("INSERT INTO r VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
