import base64
import hashlib
import re
import stat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from shared.published_dataset import LAYOUT, PAGE_TEXTS, Dataset, good_rows, page_rows
from shared.report_files import SCHEME, ShownPage, pages_in

from preannotation_assets.contracts import GROUNDINGS, PAGES, RAW_MODEL_OUTPUTS
from preannotation_assets.errors import BatchError, SettingsError, StorageError
from preannotation_assets.extraction.labels import label_colours
from preannotation_assets.lake import write_table
from preannotation_assets.lake.batch import write_manifest
from preannotation_assets.lake.layout import part_key
from preannotation_assets.manifests import FailedPage, RawModelOutputsManifest
from preannotation_assets.publishing.report import save_report, write_report, writing

ONE_PAGE = ("vessels_ocr_1/a", 2)
UNREADABLE = FailedPage(doc_id="vessels_ocr_1/0", page_num=None, reason="page_number_missing")
LAST = FailedPage(doc_id="vessels_ocr_1/z", page_num=4, reason="hash_mismatch")


def write_quotes(dataset: Dataset, *quotes: tuple[tuple[str, int], str, str, str]) -> None:
    rows = [
        {"doc_id": doc_id, "page_num": number, "chunk_start": 0, "answer_index": index, "label": label,
         "quote": quote, "outcome": outcome}
        for index, ((doc_id, number), label, quote, outcome) in enumerate(quotes)
    ]  # fmt: skip
    key = part_key(f"{LAYOUT.stage('suggestions', 'i')}/groundings", 0)
    write_table(dataset.plain_store, key, pa.Table.from_pylist(rows, schema=GROUNDINGS))


def written(dataset: Dataset) -> Path:
    return Path(write_report(dataset.plain_store, LAYOUT.dataset, SCHEME))


def shown(dataset: Dataset) -> dict[tuple[str, int | None], ShownPage]:
    return {(page.doc_id, page.page_num): page for page in pages_in(written(dataset))}


def test_every_page_is_there_with_what_is_published_of_it(dataset: Dataset) -> None:
    dataset.publish(good_rows())
    pages = shown(dataset)
    assert {key: page.text for key, page in pages.items()} == PAGE_TEXTS
    assert pages["vessels_ocr_1/a", 1].spans == [("vessel_name", 6, 18, 500), ("port", 24, 31, 500)]
    assert [page.state for page in pages.values()] == ["marked", "without_spans", "marked"]


def test_failed_pages_are_there_with_their_reason_also_those_without_text(dataset: Dataset) -> None:
    failed = FailedPage(doc_id=ONE_PAGE[0], page_num=ONE_PAGE[1], reason="timeout")
    dataset.publish(good_rows(), failed_pages=[LAST, failed, UNREADABLE])
    pages = pages_in(written(dataset))
    assert [(page.doc_id, page.page_num, page.reason, page.text) for page in pages if page.reason] == [
        (UNREADABLE.doc_id, None, "page_number_missing", ""),
        (*ONE_PAGE, "timeout", PAGE_TEXTS[ONE_PAGE]),
        (LAST.doc_id, 4, "hash_mismatch", ""),
    ]
    assert len(pages) == len(PAGE_TEXTS) + 2
    assert {page.state for page in pages if page.reason} == {"failed"}


def test_what_was_left_out_is_there_and_what_was_kept_is_not_twice(dataset: Dataset) -> None:
    write_quotes(
        dataset,
        (("vessels_ocr_1/a", 1), "port", "Hamburg", "kept"),
        (ONE_PAGE, "port", "Nowhere", "not_found"),
        (ONE_PAGE, "<b>", "here", "unknown_label"),
    )
    dataset.publish(good_rows())
    pages = shown(dataset)
    assert pages[ONE_PAGE].rejected == [
        ("port", "Nowhere", "not_found"),
        ("<b>", "here", "unknown_label"),
    ]
    assert [key for key, page in pages.items() if page.rejected] == [ONE_PAGE]
    assert "not found on the page" in written(dataset).read_text("utf-8")


def test_spans_of_another_version_of_a_page_are_not_shown_on_it(dataset: Dataset) -> None:
    dataset.publish(good_rows())
    rows = [row | {"text": "short", "text_sha256": "new"} for row in page_rows()]
    key = part_key(LAYOUT.stage("pages", "v1"), 0)
    write_table(dataset.plain_store, key, pa.Table.from_pylist(rows, schema=PAGES))
    pages = shown(dataset).values()
    assert [(page.text, page.spans, page.state) for page in pages] == [("short", [], "changed")] * 3


def write_outputs(dataset: Dataset, **changes: Any) -> None:
    row = {
        "doc_id": "a", "page_num": 1, "chunk_index": 0, "pass_number": 1, "start": 0, "end": 1,
        "request_key": "k", "status": "answered", "estimated_prompt_tokens": 1, "attempts": 1,
        "latency_seconds": 7.25, "prompt_tokens": 811, "answer_tokens": 45, "answered_at": 1, "run_id": "r",
    }  # fmt: skip
    # Two chunks of one text: one request.
    rows = [row, row | {"chunk_index": 1}, row | {"request_key": "other", "status": "failed"} | changes]
    key = part_key(LAYOUT.stage("raw_model_outputs", "o"), 0)
    write_table(dataset.plain_store, key, pa.Table.from_pylist(rows, schema=RAW_MODEL_OUTPUTS))
    write_manifest(
        dataset.plain_store,
        LAYOUT.stage_manifest("raw_model_outputs"),
        RawModelOutputsManifest(
            dataset=LAYOUT.dataset, version="o", pages_version="v1", chunks_version="c", model="m",
            model_digest="d", model_version="v", prompt_version="p", request_fingerprint="f", part_rows=[3],
            answered=1, failed=1,
        ),
    )  # fmt: skip


def test_what_requests_took_is_plotted_once_a_request(dataset: Dataset) -> None:
    write_outputs(dataset)
    dataset.publish(good_rows())
    html = written(dataset).read_text("utf-8")
    assert "1: p50 7.25 s, p95 7.25 s" in html
    assert "1: p50 811, p95 811" in html
    assert "not known" not in html


def test_what_requests_took_is_unknown_where_nothing_says_it(dataset: Dataset) -> None:
    dataset.publish(good_rows())
    assert "What the requests took is not known." in written(dataset).read_text("utf-8")


def test_it_says_of_which_run_it_is(dataset: Dataset) -> None:
    published = dataset.publish(good_rows(), run_id="run-4711").manifest
    html = written(dataset).read_text("utf-8")
    assert "run-4711" in html
    assert f"{published.published_at:%Y-%m-%d %H:%M:%S UTC}" in html
    assert "llama3.3:70b" in html


def test_labels_have_the_schemes_colours_and_titles(dataset: Dataset) -> None:
    dataset.publish(good_rows())
    html = written(dataset).read_text("utf-8")
    for colour in label_colours(SCHEME).values():
        assert f'fill="{colour}"' in html
    assert '<span class="title">Harbour or place</span><span class="number">1</span>' in html


def test_the_policy_allows_its_own_script_and_style_and_nothing_else(dataset: Dataset) -> None:
    dataset.publish(good_rows())
    html = written(dataset).read_text("utf-8")
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert found
    allowed = dict(each.split(" ", 1) for each in found[1].replace("&#39;", "'").split("; "))
    assert allowed.pop("default-src") == allowed.pop("base-uri") == allowed.pop("form-action") == "'none'"
    assert allowed.pop("require-trusted-types-for") == "'script'"
    for kind, tag in (("script-src", "script"), ("style-src", "style")):
        sources = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in sources]
        assert allowed.pop(kind).split() == [f"'sha256-{digest}'" for digest in digests]
    assert allowed == {}
    assert not re.search(
        r"""(src|href)\s*=|url\(|@import|style=""", html.split("<body>")[1].split("<script")[0]
    )


def test_it_is_written_anew_only_where_something_in_it_is_new(dataset: Dataset) -> None:
    def write(scheme: Any = SCHEME) -> list[str]:
        dataset.store.writes.clear()
        write_report(dataset.store, LAYOUT.dataset, scheme)
        return dataset.store.writes

    dataset.publish(good_rows())
    assert write() == ["preview.html"]
    assert write() == []
    dataset.publish(good_rows(), run_id="another")
    assert write() == []
    dataset.publish(good_rows()[:3], run_id="fewer")
    assert write() == ["preview.html"]
    label = SCHEME.labels[0].model_copy(update={"color": "#445566"})
    assert write(SCHEME.model_copy(update={"labels": (label, SCHEME.labels[1])})) == ["preview.html"]


def test_many_pages_are_in_several_files_that_an_index_links(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MOST_PAGES", 2)
    monkeypatch.setattr(writing, "_CHUNK_PAGES", 1)
    dataset.publish(good_rows())
    index = written(dataset)
    files = sorted(index.parent.glob("preview-*.html"))
    assert [len(pages_in(file)) for file in files] == [2, 1]
    html = index.read_text("utf-8")
    assert re.findall(r'href="([^"]*)"', html) == ["preview-1.html", "preview-2.html"]
    assert "3 pages, 4 suggestions, in 2 files" in html
    assert PAGE_TEXTS[ONE_PAGE] not in html
    assert "file 2 of 2" in files[1].read_text("utf-8")

    monkeypatch.setattr(writing, "MOST_PAGES", 3)
    assert len(pages_in(written(dataset))) == 3
    assert list(index.parent.glob("preview-*.html")) == []


def test_a_file_ends_with_the_chunk_that_makes_it_too_large(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MOST_BYTES", 1)
    monkeypatch.setattr(writing, "_CHUNK_PAGES", 1)
    dataset.publish(good_rows())
    assert len(list(written(dataset).parent.glob("preview-*.html"))) == len(PAGE_TEXTS)


def test_it_is_among_the_working_data_and_its_owners_only(dataset: Dataset) -> None:
    dataset.publish(good_rows())
    path = written(dataset)
    assert path == dataset.root / LAYOUT.preview
    assert LAYOUT.published not in str(path)
    for place in (path, path.parent):
        assert stat.S_IMODE(place.stat().st_mode) & 0o077 == 0


def test_into_files_of_ones_own_it_writes_nothing_else(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MOST_PAGES", 2)
    monkeypatch.setattr(writing, "_CHUNK_PAGES", 1)
    dataset.publish(good_rows())
    dataset.store.writes.clear()
    target = tmp_path / "own" / "look at.html"
    target.parent.mkdir()
    target.write_text("before")
    target.chmod(0o644)
    made = save_report(dataset.store, LAYOUT.dataset, SCHEME, target)
    assert [path.name for path in made] == ["look at.html", "look at-1.html", "look at-2.html"]
    assert sorted(made) == sorted(target.parent.iterdir())
    assert 'href="look%20at-1.html"' in target.read_text("utf-8")
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    assert dataset.store.writes == []


@pytest.mark.parametrize("target", [".", "no/such/folder/x.html"])
def test_a_file_that_cannot_be_written_is_told(dataset: Dataset, target: str) -> None:
    dataset.publish(good_rows())
    with pytest.raises(SettingsError, match="cannot be written"):
        save_report(dataset.plain_store, LAYOUT.dataset, SCHEME, Path(target))


def test_without_a_publication_there_is_none(dataset: Dataset) -> None:
    with pytest.raises(BatchError, match="suggestions"):
        write_report(dataset.plain_store, LAYOUT.dataset, SCHEME)


def test_a_part_of_the_quotes_that_is_damaged_is_told(dataset: Dataset) -> None:
    write_quotes(dataset, (ONE_PAGE, "port", "x", "not_found"))
    dataset.publish(good_rows())
    path = dataset.root / part_key(f"{LAYOUT.stage('suggestions', 'i')}/groundings", 0)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StorageError, match="groundings"):
        written(dataset)
