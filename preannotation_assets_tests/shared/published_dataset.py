"""A small dataset in a folder, ready to be published."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from preannotation_assets.contracts import PAGES, SUGGESTIONS
from preannotation_assets.lake import ObjectStat, ObjectStore, StoreLocation, open_store, write_table
from preannotation_assets.lake.batch import iterate_rows, write_manifest
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import PagesManifest, PageVersion, SuggestionsManifest
from preannotation_assets.publishing.publisher import Publication, publish
from preannotation_assets.publishing.verification import SpanRules

LAYOUT = DatasetLayout("vessels_ocr_1")
LABELS = ("vessel_name", "port")
RULES = SpanRules(LABELS, overlaps_allowed=False)
PAGE_TEXTS = {
    ("vessels_ocr_1/a", 1): "🚢 The Marie-Louise left Hamburg.\r\n",
    ("vessels_ocr_1/a", 2): "Nothing here.",
    ("vessels_ocr_1/b", 1): "Hansa IV, Hansa V <b>&amp;</b>",
}
SPANS = [
    ("vessels_ocr_1/a", 1, 6, 18, "vessel_name"),
    ("vessels_ocr_1/a", 1, 24, 31, "port"),
    ("vessels_ocr_1/b", 1, 0, 8, "vessel_name"),
    ("vessels_ocr_1/b", 1, 10, 17, "vessel_name"),
]

Row = dict[str, Any]


def page_rows() -> list[Row]:
    return [
        {
            "doc_id": doc_id,
            "page_num": page,
            "text": text,
            "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
        }
        for (doc_id, page), text in PAGE_TEXTS.items()
    ]


def good_rows(spans: Sequence[tuple[str, int, int, int, str]] = SPANS) -> list[Row]:
    rows = []
    for doc_id, page, start, end, label in spans:
        text = PAGE_TEXTS[doc_id, page]
        digest = hashlib.sha1(f"{start}:{end}:{label}".encode()).hexdigest()
        rows.append(
            {
                "doc_id": doc_id,
                "page_num": page,
                "span_id": f"{doc_id}:{page}:{digest}",
                "label": label,
                "start": start,
                "end": end,
                "text": text[start:end],
                "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
                "confidence": 0.5,
                "model": "llama3.3:70b",
                "model_version": "sha256:ab/spans-1",
                "generated_at": datetime(2026, 1, 2, tzinfo=UTC),
            }
        )
    return rows


class RecordingStore:
    """Hands everything on and notes the writes; ``before_write`` is called with each key first."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.writes: list[str] = []
        self.before_write: Callable[[str], None] = lambda key: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _note(self, key: str) -> None:
        self.before_write(key)
        self.writes.append(key.rsplit("/", 1)[-1])

    def write(self, key: str, data: bytes) -> str:
        self._note(key)
        return self._store.write(key, data)

    def upload(self, key: str, path: Path) -> str:
        self._note(key)
        return self._store.upload(key, path)

    def upload_if(self, key: str, path: Path, expected: str | None) -> str:
        self._note(key)
        return self._store.upload_if(key, path, expected)

    def stat(self, key: str) -> ObjectStat | None:
        return self._store.stat(key)


class Dataset:
    """The dataset with the snapshot of its pages in the lake."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.plain_store = open_store(StoreLocation(str(root)))
        self.store = RecordingStore(self.plain_store)
        self.layout = LAYOUT
        write_table(
            self.plain_store,
            part_key(LAYOUT.stage("pages", "v1"), 0),
            pa.Table.from_pylist(page_rows(), schema=PAGES),
        )
        self.pages = PagesManifest(
            dataset=LAYOUT.dataset, version="v1", content_hash="h", part_rows=[3], pages=3, empty_pages=0,
            characters=0, collapsed_duplicates=0, failed_pages=[], narrowed_to_doc_ids=None,
            doc_ids_not_found=0,
        )  # fmt: skip
        write_manifest(self.plain_store, LAYOUT.stage_manifest("pages"), self.pages)

    @property
    def parquet(self) -> Path:
        return self.root / LAYOUT.published_suggestions

    def page_rows(self) -> Iterator[Row]:
        return iterate_rows(self.plain_store, LAYOUT.stage("pages", "v1"), 1, PAGES)

    def publish(
        self,
        rows: Sequence[Row],
        *,
        run_id: str = "run",
        store: ObjectStore | None = None,
        most_rows_lost: float = 1.0,
        **changes: Any,
    ) -> Publication:
        """Stages the rows in two parts and publishes them; pages of no row count as without spans."""
        keys = [f"argilla/work/{LAYOUT.dataset}/staged/{run_id}/{index}.parquet" for index in range(2)]
        for key, part in zip(keys, (rows[:2], rows[2:]), strict=True):
            write_table(self.plain_store, key, pa.Table.from_pylist(list(part), schema=SUGGESTIONS))
        marked = {(row["doc_id"], row["page_num"]) for row in rows}
        failed = {(page.doc_id, page.page_num) for page in changes.get("failed_pages", [])}
        versions = [
            PageVersion(page["doc_id"], page["page_num"], page["text_sha256"]) for page in page_rows()
        ]
        without = [page for page in versions if (page.doc_id, page.page_num) not in marked | failed]
        draft = SuggestionsManifest(
            dataset=LAYOUT.dataset, rows=0, bytes=0, pages_processed=len(marked) + len(without),
            pages_with_spans=len(marked), pages_without_spans=without, failed_pages=[],
            spans_by_label=dict(Counter(row["label"] for row in rows)),
            quotes_by_outcome={}, groundings_by_match={}, model="llama3.3:70b", model_version="v",
            prompt_version="p", input_version="i", content_hash="", parquet_etag="", run_id=run_id,
            published_at=datetime.now(UTC),
        ).model_copy(update=changes)  # fmt: skip
        return publish(store or self.store, LAYOUT, keys, self.pages, draft, RULES, most_rows_lost)
