"""A packed list of pages is any sequence of them, in less memory."""

import gc
import json
import pickle
import tracemalloc
from collections.abc import Iterator, Sequence
from copy import copy
from hashlib import sha256
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preannotation_assets.manifests import FailedPage, PagesManifest, PageVersion
from preannotation_assets.page_lists import PageList, in_order, page_rows

TEXTS = st.text(max_size=5) | st.just("\ud800")
FAILED = st.builds(FailedPage, TEXTS, st.none() | st.integers(-2, 2) | st.integers(), TEXTS)
PAGES = st.lists(FAILED, max_size=20)


@pytest.fixture(autouse=True, params=[1, 3, 1_000])
def pages_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preannotation_assets.page_lists._PAGES_AT_ONCE", request.param)


def property_of_lists(examples: int) -> settings:
    return settings(
        max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


@given(PAGES, st.slices(25))
@property_of_lists(100)
def test_it_is_the_sequence_of_its_pages(pages: list[FailedPage], some: slice) -> None:
    packed = PageList(FailedPage, pages)
    assert (len(packed), list(packed), list(reversed(packed))) == (len(pages), pages, pages[::-1])
    assert [packed[place] for place in range(-len(pages), len(pages))] == pages * 2
    assert packed[some] == pages[some]
    assert packed == pages
    assert pages == packed
    with pytest.raises(IndexError):
        packed[len(pages)]
    assert packed != PageList(FailedPage, [*pages, FailedPage("d", 1, "r")])


@given(PAGES, PAGES)
@property_of_lists(100)
def test_what_comes_from_another_process_goes_on_as_the_same_list(
    pages: list[FailedPage], more: list[FailedPage]
) -> None:
    sent: PageList[FailedPage] = pickle.loads(pickle.dumps(PageList(FailedPage, pages)))
    assert sent == pages
    sent.extend(more)
    assert sent == PageList(FailedPage, [*pages, *more])
    assert [sent[place] for place in range(len(sent))] == [*pages, *more]
    assert (sent == PageList(FailedPage, [*more, *pages])) is ([*pages, *more] == [*more, *pages])


@given(PAGES, PAGES)
@property_of_lists(50)
def test_a_copy_that_is_appended_to_leaves_the_list_as_it_was(
    pages: list[FailedPage], more: list[FailedPage]
) -> None:
    packed = PageList(FailedPage, pages)
    copied = copy(packed)
    copied.extend(more)
    assert packed == pages
    assert copied == [*pages, *more]


@given(PAGES)
@property_of_lists(100)
def test_pages_come_by_document_and_number_those_without_one_last(pages: list[FailedPage]) -> None:
    for each in (pages, sorted(pages, key=lambda page: page.doc_id)):
        found = list(in_order(PageList(FailedPage, each)))
        assert sorted(map(repr, found)) == sorted(map(repr, each))
        places = [(page.doc_id, float("inf") if page.page_num is None else page.page_num) for page in found]
        assert places == sorted(places)


@given(st.lists(st.builds(FailedPage, st.text(max_size=5), st.none() | st.integers(), st.text(max_size=5))))
@property_of_lists(50)
def test_a_manifest_takes_and_gives_what_it_did_with_a_plain_list(pages: list[FailedPage]) -> None:
    rows = list(page_rows(pages))
    given_so: Sequence[object] = (pages, tuple(pages), rows, PageList(FailedPage, pages), iter(pages))
    for given_pages in given_so:
        manifest = PagesManifest.model_validate({**SNAPSHOT, "failed_pages": given_pages})
        assert manifest.failed_pages == pages
        assert manifest.model_dump(mode="json")["failed_pages"] == rows
        assert json.loads(manifest.model_dump_json())["failed_pages"] == rows
        assert PagesManifest.model_validate_json(manifest.model_dump_json()) == manifest


SNAPSHOT = {
    "dataset": "d", "version": "v", "content_hash": "h", "part_rows": [2], "pages": 2, "empty_pages": 0,
    "characters": 9, "collapsed_duplicates": 0, "doc_ids_not_found": 0,
}  # fmt: skip


def versions(count: int) -> Iterator[PageVersion]:
    for number in range(count):
        yield PageVersion(
            f"vessels_ocr_1/{number // 7:07}", number % 7, sha256(str(number).encode()).hexdigest()
        )


def test_ten_thousand_pages_take_fifty_bytes_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preannotation_assets.page_lists._PAGES_AT_ONCE", 1_000)
    gc.collect()
    tracemalloc.start()
    try:
        packed = PageList(PageVersion, versions(10_000))
        assert tracemalloc.get_traced_memory()[0] < 500_000
        tracemalloc.reset_peak()
        assert sum(1 for _ in packed) == 10_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_list_out_of_order_is_sorted_without_a_change_to_it() -> None:
    pages = list(versions(50))
    Random(1).shuffle(pages)
    packed = PageList(PageVersion, pages)
    assert list(in_order(packed)) == list(versions(50))
    assert packed == pages
