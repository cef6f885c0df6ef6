"""A publication that takes most rows away though nothing else was asked is stopped, or says so."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared import report_files
from shared.published_dataset import RULES, Dataset, Row, good_rows

from preannotation_assets.errors import RowsLostError
from preannotation_assets.manifests import Comparison, FailedPage
from preannotation_assets.publishing.doubts import doubts
from preannotation_assets.publishing.losses import (
    RowComparison,
    loss_words,
    lost_share,
    require_rows_kept,
)
from preannotation_assets.publishing.page_walk import walk_pages
from preannotation_assets.publishing.publisher import verify_dataset
from preannotation_assets.settings import PublishingSettings

PageText = tuple[str, int, str]
A, B, C = ("a", 1, "h1"), ("a", 2, "h2"), ("b", 1, "h3")


def rows_of(counts: Mapping[PageText, int]) -> list[Row]:
    names = ("doc_id", "page_num", "text_sha256")
    return [dict(zip(names, key, strict=True)) for key in sorted(counts) for _ in range(counts[key])]


def compared(
    before: Mapping[PageText, int],
    now: Mapping[PageText, int],
    failed: set[tuple[str, int | None]],
    *pages: PageText,
) -> Comparison | None:
    listed = [FailedPage(doc_id, page_num, "timed_out") for doc_id, page_num in failed]
    comparison = RowComparison()
    earlier = comparison.reading(rows_of(before))
    walk = walk_pages(
        rows_of(dict.fromkeys(pages, 1)), rows_of(now), report_files.manifest(failed_pages=listed), earlier
    )
    assert sum(walked.page is not None for walked in comparison.noting(walk)) == len(pages)
    return comparison.result()


def test_rows_are_compared_on_the_pages_that_are_in_both_with_the_same_text() -> None:
    before = {A: 4, B: 6, C: 10}
    changed = ("b", 1, "another text")
    found = compared(
        before, {A: 1, changed: 50, ("new", 1, "h"): 70}, {("a", 2)}, A, B, changed, ("new", 1, "h")
    )
    assert found == Comparison(pages=2, rows_before=10, rows=1, pages_emptied=0, pages_failed=1)
    assert lost_share(found) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("before", "pages"),
    [({}, [A, B]), ({A: 3}, [("a", 1, "another text")]), ({A: 3}, [B]), ({A: 3}, [])],
    ids=["nothing before", "another text", "another page", "no page"],
)
def test_where_no_page_is_in_both_nothing_is_compared(
    before: dict[PageText, int], pages: list[PageText]
) -> None:
    assert compared(before, {}, set(), *pages) is None


def test_rows_that_moved_from_one_page_to_another_are_not_lost() -> None:
    found = compared({A: 5, B: 1}, {A: 1, B: 9}, set(), A, B)
    assert found is not None
    assert (lost_share(found), found.pages_emptied) == (0.0, 0)


counts = st.dictionaries(st.sampled_from([A, B, C]), st.integers(1, 5))


@given(counts, counts, st.sets(st.sampled_from([("a", 1), ("a", 2), ("b", None)])))
def test_every_page_that_lost_its_rows_is_counted_once(
    before: dict[PageText, int], now: dict[PageText, int], failed: set[tuple[str, int | None]]
) -> None:
    found = compared(before, now, failed, A, B, C)
    if not before:
        assert found is None
        return
    assert found is not None
    assert found.pages_emptied + found.pages_failed == len(before.keys() - now.keys())
    assert 0 <= lost_share(found) <= 1
    assert (loss_words(found) is not None) is (2 * found.rows < found.rows_before)


def test_by_default_more_than_half_may_not_be_lost_and_the_line_says_what_publishes_it() -> None:
    most = PublishingSettings().most_rows_lost
    half = Comparison(pages=2, rows_before=8, rows=4, pages_emptied=1, pages_failed=0)
    require_rows_kept("d", half, most)
    require_rows_kept("d", None, most)
    with pytest.raises(RowsLostError) as raised:
        require_rows_kept("d", half.model_copy(update={"rows": 3}), most)
    assert "of 8 rows of the publication before 3 are left on 2 pages" in str(raised.value)
    assert "PREANNOTATION_MOST_ROWS_LOST=1 preannotate run d publishes it" in str(raised.value)
    nothing_left = half.model_copy(update={"rows": 0})
    require_rows_kept("d", nothing_left, 1.0)


@pytest.fixture
def published(dataset: Dataset) -> bytes:
    dataset.publish(good_rows(), scheme_version="s")
    return dataset.parquet.read_bytes()


def test_a_publication_that_loses_most_rows_is_stopped_and_the_one_before_stays(
    dataset: Dataset, published: bytes
) -> None:
    manifest = dataset.parquet.with_name("_manifest.json").read_bytes()
    dataset.store.writes.clear()
    with pytest.raises(RowsLostError, match="of 4 rows of the publication before 1 are left on 2 pages"):
        dataset.publish(good_rows()[:1], run_id="new", most_rows_lost=0.5)
    assert dataset.store.writes == []
    assert dataset.parquet.read_bytes() == published
    assert dataset.parquet.with_name("_manifest.json").read_bytes() == manifest
    assert verify_dataset(dataset.plain_store, dataset.layout.dataset, RULES).passed


def test_where_it_is_allowed_it_is_published_and_told_until_the_next_one(
    dataset: Dataset, published: bytes
) -> None:
    failed = [FailedPage(doc_id="vessels_ocr_1/b", page_num=1, reason="timed_out")]
    loss = dataset.publish(good_rows()[:1], run_id="less", most_rows_lost=1.0, failed_pages=failed).manifest
    assert loss.comparison == Comparison(pages=2, rows_before=4, rows=1, pages_emptied=0, pages_failed=1)
    assert doubts(loss) == [loss_words(loss.comparison)]
    again = dataset.publish(
        good_rows()[:1], run_id="again", most_rows_lost=0.0, failed_pages=failed, input_version="other"
    )
    assert (again.changed, again.manifest.comparison) == (False, loss.comparison)
    more = dataset.publish(good_rows(), run_id="more", most_rows_lost=0.0).manifest
    assert more.comparison == Comparison(pages=1, rows_before=1, rows=2, pages_emptied=0, pages_failed=0)
    assert doubts(more) == []


@pytest.mark.parametrize("name", ["model", "model_version", "prompt_version", "scheme_version"])
def test_another_model_prompt_or_scheme_explains_what_is_gone(
    dataset: Dataset, published: bytes, name: str
) -> None:
    publication = dataset.publish([], run_id="new", most_rows_lost=0.0, **{name: "another"})
    assert publication.changed
    assert publication.manifest.comparison is None


def test_a_publication_of_older_code_is_taken_to_have_had_the_same_scheme(dataset: Dataset) -> None:
    dataset.publish(good_rows(), scheme_version=None)
    with pytest.raises(RowsLostError):
        dataset.publish([], run_id="new", most_rows_lost=0.5, scheme_version="s")


def test_what_was_published_and_is_damaged_is_replaced_whatever_is_lost(
    dataset: Dataset, published: bytes, tmp_path: Path
) -> None:
    class Damaging(type(dataset.store)):  # type: ignore[misc]
        def download(self, key: str, path: Path) -> object:
            stat = dataset.plain_store.download(key, path)
            path.write_bytes(published[:-10])
            return stat

    assert dataset.publish([], run_id="new", most_rows_lost=0.0, store=Damaging(dataset.plain_store)).changed
