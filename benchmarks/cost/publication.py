"""What the driver of ``suggestions`` holds: ``python -m benchmarks.cost.publication [--pages N ...]``.

Made-up short pages, their requests and groundings in a temporary lake: of a hundred pages 89 have two spans,
10 none, one failed. The driver's own steps, one after the other, in a process for each size; no task is
done. As in ``driver.py``, of each step the most resident memory: what it is over that before the first, and
in all.
"""

import pickle
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from itertools import chain
from typing import Final, TypeAlias

import pyarrow as pa

from benchmarks.cost.parts import PART_ROWS, part_rows
from benchmarks.cost.steps import Steps, in_another_process, measure_sizes
from preannotation_assets.contracts import GROUNDINGS, PAGES, RAW_MODEL_OUTPUTS, SUGGESTIONS, span_id
from preannotation_assets.extraction.calibrated import Calibration, CalibrationFit, IsotonicMap
from preannotation_assets.extraction.labels import parse_label_scheme
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, write_table
from preannotation_assets.lake.batch import read_manifest, write_manifest
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import (
    FailedPage,
    PagesManifest,
    PageVersion,
    RawModelOutputsManifest,
    SuggestionsManifest,
)
from preannotation_assets.page_lists import PageList
from preannotation_assets.publishing.publisher import Publication, publish, verify_dataset
from preannotation_assets.publishing.report import write_report
from preannotation_assets.publishing.request_account import read_requests
from preannotation_assets.publishing.review_order import update_review_order
from preannotation_assets.publishing.verification import SpanRules

_PAGES: Final = (20_000, 100_000, 1_000_000)
_LAYOUT: Final = DatasetLayout("vessels_ocr_1")
_SCHEME: Final = parse_label_scheme(
    "name: b\nversion: 1\nlabels: [{name: port, definition: A port.}]", "benchmark"
)
_RULES: Final = SpanRules(_SCHEME.label_names, overlaps_allowed=False)
_LABEL: Final = "port"
_SPANS: Final = ((12, 16), (21, 25))
_HUNDRED: Final = 100
_WITHOUT_SPANS: Final = range(10)
_FAILED: Final = range(10, 11)
_Sent: TypeAlias = tuple[PageList[PageVersion], PageList[FailedPage]]
_MOMENT: Final = datetime(2026, 1, 2, tzinfo=UTC)
_CALIBRATION: Final = Calibration(
    isotonic=IsotonicMap((0.0, 1.0), (0.0, 0.9)),
    logistic=None,
    thresholds={},
    correction_actions=2.0,
    model_versions=("v",),
    fit=CalibrationFit(20, 400, 0.25, 0.2, 0.125, 0.03),
)


def main() -> None:
    """Prints a line a step and size."""
    measure_sizes("benchmarks.cost.publication", "pages", _PAGES, _measure)


def _measure(pages: int) -> None:
    with tempfile.TemporaryDirectory(prefix="preannotation-publication-") as folder:
        store = open_store(StoreLocation(folder))
        in_another_process(lambda: _fill(store, pages))
        outputs, steps = _outputs(pages), Steps(pages)
        requests = steps.do("account", lambda: read_requests(store, _LAYOUT, outputs))
        published = steps.do("publication", lambda: _publish(store, pages, "1")).manifest
        steps.do("order of reviewing", lambda: update_review_order(store, _LAYOUT, published, _CALIBRATION))
        steps.do("preview", lambda: write_report(store, _LAYOUT.dataset, _SCHEME, requests))
        steps.do("verification", lambda: verify_dataset(store, _LAYOUT.dataset, _RULES))
        steps.do("over another", lambda: _publish(store, pages, "2"))
        size = store.stat(_LAYOUT.published_manifest)
        steps.do("reading a manifest", lambda: _read(store))
        steps.do("writing a manifest", lambda: write_manifest(store, "copy.json", published))
        print(f"{pages:10} {size.size if size else 0:,} bytes of the manifest", flush=True)


def _read(store: ObjectStore) -> SuggestionsManifest | None:
    return read_manifest(store, _LAYOUT.published_manifest, SuggestionsManifest)


def _publish(store: ObjectStore, pages: int, version: str) -> Publication:
    parts = range(len(part_rows(pages)))
    keys = [part_key(_LAYOUT.suggestion_rows(version), part) for part in parts]
    # As the asset does, this holds what the tasks have sent until it is published.
    sent = [_sent(part, rows) for part, rows in enumerate(part_rows(pages))]
    return publish(store, _LAYOUT, keys, _snapshot(pages), _draft(pages, sent, version), _RULES, 1.0)


def _fill(store: ObjectStore, pages: int) -> None:
    """Writes the snapshot, the requests, the rows of two publications, and the quotes of the second."""
    write_manifest(store, _LAYOUT.stage_manifest("pages"), _snapshot(pages))
    write_manifest(store, _LAYOUT.stage_manifest("raw_model_outputs"), _outputs(pages))
    for part, rows in enumerate(part_rows(pages)):
        numbers = [part * PART_ROWS + row for row in range(rows)]
        made = list(map(_page, numbers))
        write = partial(_write, store, part)
        write(_LAYOUT.stage("pages", "v"), PAGES, [page.columns for page in made])
        write(_LAYOUT.stage("raw_model_outputs", "v"), RAW_MODEL_OUTPUTS, list(map(_request, made)))
        marked = [page for page in made if page.is_marked]
        for version, confidence in (("1", 0.5), ("2", 0.75)):
            spans = [span for page in marked for span in page.spans(confidence)]
            write(_LAYOUT.suggestion_rows(version), SUGGESTIONS, spans)
            write(_LAYOUT.groundings(version), GROUNDINGS, [_quote(page) for page in made if page.is_empty])


def _write(
    store: ObjectStore, part: int, folder: str, schema: pa.Schema, rows: Sequence[dict[str, object]]
) -> None:
    write_table(store, part_key(folder, part), pa.Table.from_pylist(rows, schema=schema))


@dataclass(frozen=True, slots=True)
class _Page:
    number: int
    doc_id: str
    text: str
    text_sha256: str

    @property
    def is_empty(self) -> bool:
        return self.number % _HUNDRED in _WITHOUT_SPANS

    @property
    def has_failed(self) -> bool:
        return self.number % _HUNDRED in _FAILED

    @property
    def is_marked(self) -> bool:
        return not (self.is_empty or self.has_failed)

    @property
    def columns(self) -> dict[str, object]:
        """As a row of the snapshot."""
        return {"doc_id": self.doc_id, "page_num": 1, "text": self.text, "text_sha256": self.text_sha256}

    def spans(self, confidence: float) -> list[dict[str, object]]:
        """As published rows."""
        return [
            {
                **self.columns,
                "span_id": span_id(self.doc_id, 1, start, end, _LABEL),
                "label": _LABEL,
                "start": start,
                "end": end,
                "text": self.text[start:end],
                "confidence": confidence,
                "model": "m",
                "model_version": "v",
                "generated_at": _MOMENT,
            }
            for start, end in _SPANS
        ]


def _page(number: int) -> _Page:
    text = f"{number:07} from Hull to Kiel."
    return _Page(number, f"{_LAYOUT.dataset}/{number:09}", text, sha256(text.encode()).hexdigest())


def _request(page: _Page) -> dict[str, object]:
    """No two take equally long."""
    return {
        "doc_id": page.doc_id,
        "page_num": 1,
        "chunk_index": 0,
        "pass_number": 1,
        "start": 0,
        "end": len(page.text),
        "request_key": page.text_sha256,
        "status": "failed" if page.has_failed else "answered",
        "prompt_tokens": 2_400 + page.number % 977,
        "answer_tokens": 20 + page.number % 331,
        "estimated_prompt_tokens": 2_500,
        "attempts": 1,
        "latency_seconds": 1.0 + page.number * 0.618_033_988 % 30.0,
        "answered_at": _MOMENT,
        "run_id": "r",
    }


def _quote(page: _Page) -> dict[str, object]:
    return {
        "doc_id": page.doc_id,
        "page_num": 1,
        "chunk_start": 0,
        "answer_index": 0,
        "label": _LABEL,
        "quote": "Oslo",
        "outcome": "not_found",
    }


def _snapshot(pages: int) -> PagesManifest:
    return PagesManifest(
        dataset=_LAYOUT.dataset,
        version="v",
        content_hash="h",
        part_rows=part_rows(pages),
        pages=pages,
        empty_pages=0,
        characters=26 * pages,
        collapsed_duplicates=0,
        failed_pages=[],
        doc_ids_not_found=0,
    )


def _outputs(pages: int) -> RawModelOutputsManifest:
    return RawModelOutputsManifest(
        dataset=_LAYOUT.dataset,
        version="v",
        pages_version="v",
        chunks_version="c",
        model="m",
        model_digest="d",
        model_version="v",
        prompt_version="p",
        request_fingerprint="f",
        part_rows=part_rows(pages),
        answered=pages,
        failed=0,
    )


def _sent(part: int, rows: int) -> _Sent:
    """What the task of a part sends to the driver of its pages."""
    empty, failed = PageList(PageVersion), PageList(FailedPage)
    for number in range(part * PART_ROWS, part * PART_ROWS + rows):
        page = _page(number)
        if page.is_empty:
            empty.append(PageVersion(page.doc_id, 1, page.text_sha256))
        elif page.has_failed:
            failed.append(FailedPage(page.doc_id, 1, "timed_out"))
    sent: _Sent = pickle.loads(pickle.dumps((empty, failed)))
    return sent


def _draft(pages: int, sent: Sequence[_Sent], version: str) -> SuggestionsManifest:
    empty = PageList(PageVersion, chain.from_iterable(of_part for of_part, _ in sent))
    failed = PageList(FailedPage, chain.from_iterable(of_part for _, of_part in sent))
    marked = pages - len(empty) - len(failed)
    return SuggestionsManifest(
        dataset=_LAYOUT.dataset,
        rows=0,
        bytes=0,
        pages_processed=pages - len(failed),
        pages_with_spans=marked,
        pages_without_spans=empty,
        failed_pages=failed,
        spans_by_label={_LABEL: len(_SPANS) * marked},
        quotes_by_outcome={"kept": len(_SPANS) * marked, "not_found": len(empty)},
        groundings_by_match={},
        model="m",
        model_version="v",
        prompt_version="p",
        input_version=version,
        content_hash="",
        parquet_etag="",
        run_id=f"run-{version}",
        published_at=_MOMENT,
    )


if __name__ == "__main__":
    main()
