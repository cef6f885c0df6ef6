"""Four times as many pages take no more memory: what is published is walked through, not held."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shared import report_files
from shared.calibrations import halving
from shared.published_dataset import LAYOUT, Row
from shared.raw_outputs import write_raw_outputs

from preannotation_assets.contracts import SUGGESTIONS, span_id
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, write_table
from preannotation_assets.lake.batch import read_manifest, write_manifest
from preannotation_assets.manifests import PagesManifest, PageVersion, SuggestionsManifest
from preannotation_assets.page_lists import PageList
from preannotation_assets.publishing.losses import RowComparison
from preannotation_assets.publishing.page_states import PageStates
from preannotation_assets.publishing.page_walk import walk_pages
from preannotation_assets.publishing.published_file import rows_of
from preannotation_assets.publishing.report.reading import Batch
from preannotation_assets.publishing.report.writing import report_subject
from preannotation_assets.publishing.request_account import read_requests
from preannotation_assets.publishing.review_order import update_review_order
from preannotation_assets.publishing.verification import VerificationReport, verify_rows

_PAGES = 1_000
_ROWS_AT_ONCE = 250
# It was more than 200 of each of the five. A page that a manifest names takes some 50.
_BYTES_A_PAGE = 80


def _pages(count: int) -> Iterator[Row]:
    for number in range(count):
        text = f"{number:06} from Hull"
        yield {
            "doc_id": f"{LAYOUT.dataset}/{number:06}",
            "page_num": 1,
            "text": text,
            "text_sha256": sha256(text.encode()).hexdigest(),
        }


def _rows(count: int) -> Iterator[Row]:
    """A suggestion on each page."""
    for page in _pages(count):
        yield {
            **page,
            "span_id": span_id(page["doc_id"], 1, 12, 16, "port"),
            "label": "port",
            "start": 12,
            "end": 16,
            "text": page["text"][12:16],
            "confidence": 0.5,
            "model": "m",
            "model_version": "v",
            "generated_at": datetime(2026, 1, 2, tzinfo=UTC),
        }


def _verification(_: ObjectStore, count: int) -> Callable[[], None]:
    manifest = report_files.manifest(
        rows=count, pages_with_spans=count, pages_processed=count, spans_by_label={"port": count}
    )

    def verify() -> None:
        comparison, of_pages = RowComparison(), VerificationReport()
        walk = walk_pages(_pages(count), _rows(count), manifest, comparison.reading(_rows(count)))
        checked = comparison.noting(PageStates(manifest).checked(walk, of_pages))
        report = verify_rows(checked, ("port",), overlaps_allowed=False)
        assert (report.passed, of_pages.passed, report.rows) == (True, True, count)
        assert comparison.rows_before == count

    return verify


def _account(store: ObjectStore, count: int) -> Callable[[], None]:
    keys = [page["text_sha256"] for page in _pages(count)]
    places = range(0, count, _ROWS_AT_ONCE)
    parts = [[{"request_key": key} for key in keys[place : place + _ROWS_AT_ONCE]] for place in places]
    outputs = write_raw_outputs(store, LAYOUT, *parts)

    def read() -> None:
        assert len(read_requests(store, LAYOUT, outputs).latencies) == count

    return read


def _order(store: ObjectStore, count: int) -> Callable[[], None]:
    table = pa.Table.from_pylist(list(_rows(count)), schema=SUGGESTIONS)
    write_table(store, LAYOUT.published_suggestions, table)
    stat = store.stat(LAYOUT.published_suggestions)
    assert stat is not None
    manifest = report_files.manifest(parquet_etag=stat.etag)
    return lambda: update_review_order(store, LAYOUT, manifest, halving())


def _listed(store: ObjectStore, count: int) -> Callable[[], None]:
    """A manifest that names all pages is written, read, compared and walked through."""
    listed = (PageVersion(page["doc_id"], 1, page["text_sha256"]) for page in _pages(count))
    manifest = report_files.manifest(pages_without_spans=PageList(PageVersion, listed), pages_processed=count)

    def write_and_read() -> None:
        write_manifest(store, "manifest.json", manifest)
        assert read_manifest(store, "manifest.json", SuggestionsManifest) == manifest
        assert sum(len(walked.without_spans) for walked in walk_pages(_pages(count), (), manifest)) == count

    return write_and_read


def _preview(_: ObjectStore, count: int) -> Callable[[], None]:
    """Whether a report is still that of a manifest that names all pages."""
    listed = PageList(PageVersion, (PageVersion(page["doc_id"], 1, "h") for page in _pages(count)))
    published = report_files.manifest(pages_without_spans=listed, pages_processed=count)
    snapshot = PagesManifest(
        dataset=LAYOUT.dataset, version="v", content_hash="h", part_rows=[count], pages=count, empty_pages=0,
        characters=0, collapsed_duplicates=0, failed_pages=[], doc_ids_not_found=0,
    )  # fmt: skip
    batch = Batch(LAYOUT, snapshot, published, None)
    other = replace(batch, published=report_files.manifest(pages_processed=count))

    def compare() -> None:
        assert report_subject(batch, report_files.SCHEME) != report_subject(other, report_files.SCHEME)

    return compare


@pytest.mark.parametrize("prepare", [_verification, _account, _order, _listed, _preview])
def test_what_is_held_does_not_grow_with_the_pages(
    prepare: Callable[[ObjectStore, int], Callable[[], None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "publishing.published_file._BATCH_ROWS",
        "publishing.review_order._BATCH_ROWS",
        "lake.local_database._ROWS_AT_ONCE",
        "lake.json_documents._ITEMS_AT_ONCE",
        "lake.local._COPY_BYTES",
        "page_lists._PAGES_AT_ONCE",
    ):
        monkeypatch.setattr(f"preannotation_assets.{name}", _ROWS_AT_ONCE)

    def most_held(count: int) -> int:
        do = prepare(open_store(StoreLocation(str(tmp_path / str(count)))), count)
        # The lesser of two: what is done once in a process is none of it.
        return min(_most_of_python(do) for _ in range(2))

    few, many = most_held(_PAGES), most_held(4 * _PAGES)
    assert many - few < 3 * _PAGES * _BYTES_A_PAGE


def _most_of_python(do: Callable[[], None]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        do()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_of_many_row_groups_one_is_held_while_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "suggestions.parquet"
    table = pa.Table.from_pylist(list(_rows(2_000)), schema=SUGGESTIONS)
    pq.write_table(table, path, row_group_size=20)
    before, most, read = pa.total_allocated_bytes(), 0, 0
    for _ in rows_of(path, LAYOUT.dataset, ("doc_id", "page_num", "text_sha256")):
        most, read = max(most, pa.total_allocated_bytes() - before), read + 1
    assert read == len(table)
    # Read in one go, the hundred of them are 476 kB at the end.
    assert most < 40_000
