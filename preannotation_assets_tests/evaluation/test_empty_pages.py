"""Pages of which it is known whether a word tells that something is on them."""

from collections.abc import Iterator
from dataclasses import astuple
from random import Random

import numpy as np
import pytest

from preannotation_assets.evaluation import empty_pages
from preannotation_assets.evaluation.empty_pages import (
    ALLOWANCES,
    FEWEST_OF_A_KIND,
    MOST_SPANS_LOST,
    CheapTest,
    EmptyPages,
    PageRequests,
    PageSample,
    measure_empty_pages,
)
from preannotation_assets.evaluation.page_words import count_letters, hashed_words
from preannotation_assets.evaluation.pages import ReviewedPage
from preannotation_assets.extraction.segments import Mark

PAGES, DOCUMENTS = 400, 40
COMMON = [f"common{number}" for number in range(200)]


def page(doc: int, number: int, words: list[str], spans: int) -> ReviewedPage:
    gold = tuple(Mark(each, each + 1, "port") for each in range(spans))
    return ReviewedPage(f"d/{doc}", number, " ".join(words), gold, ())


def planted(word: str | None, seed: int = 1) -> Iterator[ReviewedPage]:
    """Every second page holds spans and, if there is one, the word that tells it; all else is chance."""
    random = Random(seed)
    for number in range(PAGES):
        words = random.choices(COMMON, k=random.randint(20, 40))
        spans = random.randint(1, 4) if number % 2 else 0
        if spans and word is not None:
            words.insert(random.randrange(len(words)), word)
        yield page(random.randrange(DOCUMENTS), number, words, spans)


def sample_of(pages: Iterator[ReviewedPage] | list[ReviewedPage], expected: int = PAGES) -> PageSample:
    sample = PageSample(expected)
    for each in pages:
        sample.add(each)
    return sample


def measured(sample: PageSample, samples: int = 50) -> EmptyPages:
    return measure_empty_pages(sample, dict.fromkeys(sample.keys, PageRequests(1, 10, 0.5)), samples)


def both(found: EmptyPages) -> tuple[CheapTest, CheapTest]:
    assert found.by_words is not None
    assert found.by_letters is not None
    return found.by_words, found.by_letters


def test_where_a_word_decides_nearly_all_empty_pages_are_saved_and_nothing_is_lost() -> None:
    found = measured(sample_of(planted("Schiff")))
    assert (found.pages, found.empty, found.measured) == (PAGES, PAGES // 2, PAGES)
    words, letters = both(found)
    assert words.requests_saved.value == pytest.approx(0.5, abs=0.04)
    assert (words.spans_lost.value or 0) <= 2 * MOST_SPANS_LOST
    assert not words.saves_little
    interval = words.requests_saved.interval
    assert interval is not None
    assert interval.low < (words.requests_saved.value or 0) < interval.high
    # The word makes a page no longer to speak of.
    assert (letters.requests_saved.value or 0) < 0.1


def test_who_may_lose_more_leaves_out_more() -> None:
    curve = measured(sample_of(planted("Schiff"))).curve
    assert [point.allowed for point in curve] == list(ALLOWANCES)
    saved = [point.pages_saved for point in curve]
    assert saved == sorted(saved)
    assert saved[0] < saved[-1] < 0.6
    assert curve[-1].spans_lost == pytest.approx(ALLOWANCES[-1], abs=0.03)


def test_a_shape_tells_as_a_word_does() -> None:
    """Seven digits are never the same twice, and no digits are on any other page."""
    pages = [
        page(number % DOCUMENTS, number, [*each.text.split(), *[f"{9000000 + number}"] * bool(each.gold)],
             len(each.gold))
        for number, each in enumerate(planted(None))
    ]  # fmt: skip
    words, _ = both(measured(sample_of(pages)))
    assert (words.requests_saved.value or 0) > 0.25


@pytest.mark.parametrize("seed", range(3))
def test_without_a_signal_next_to_nothing_is_saved_and_it_says_so(seed: int) -> None:
    for test in both(measured(sample_of(planted(None, seed)))):
        assert (test.requests_saved.value or 0) < 0.03
        assert test.saves_little


def test_what_one_document_alone_shows_is_of_no_use_to_others() -> None:
    """Each document has a word of its own for what it holds: within it that tells all, outside nothing."""
    pages = []
    for number, each in enumerate(planted(None)):
        own = [f"sign{each.doc_id}"] * 5 if each.gold else [f"none{each.doc_id}"] * 5
        pages.append(ReviewedPage(each.doc_id, number, f"{each.text} {' '.join(own)}", each.gold, ()))
    words, _ = both(measured(sample_of(pages)))
    assert (words.requests_saved.value or 0) < 0.05


def test_almost_blank_pages_are_found_by_their_letters() -> None:
    random = Random(3)
    pages = [
        page(number % DOCUMENTS, number, ["-.-"] * 20 if number % 5 == 0 else random.choices(COMMON, k=30),
             0 if number % 5 == 0 else 1)
        for number in range(PAGES)
    ]  # fmt: skip
    _, letters = both(measured(sample_of(pages)))
    assert letters.pages_saved.value == pytest.approx(0.2, abs=0.01)
    assert (letters.spans_lost.value or 0) <= 2 * MOST_SPANS_LOST


def test_the_same_pages_in_any_order_give_the_same() -> None:
    pages = list(planted("Schiff"))
    again = Random(5).sample(pages, len(pages))
    first, other = (measured(sample_of(each)) for each in (pages, again))
    for one, two in zip(both(first), both(other), strict=True):
        assert one.requests_saved.value == two.requests_saved.value
        assert (one.tokens, one.spans_lost.value) == (two.tokens, two.spans_lost.value)


def test_what_is_saved_is_counted_in_requests_tokens_and_seconds() -> None:
    sample = sample_of(planted("Schiff"))
    # What is empty is long: four requests of five.
    taken = {
        key: PageRequests(1 if spans else 4, 100 if spans else 400, 1.0 if spans else 4.0)
        for key, spans in zip(sample.keys, sample.spans, strict=True)
    }
    words, _ = both(measure_empty_pages(sample, taken, 0))
    assert words.requests_saved.value == pytest.approx(0.8, abs=0.06)
    assert words.requests_saved.interval is None
    saved = round((words.requests_saved.value or 0) * 5 * PAGES / 2)
    assert (words.tokens, words.seconds) == (100 * saved, saved)
    assert words.pages_saved.value == pytest.approx(0.5, abs=0.04)


def test_what_nobody_counted_is_unknown() -> None:
    sample = sample_of(planted("Schiff"))
    words, _ = both(measure_empty_pages(sample, None, 50))
    assert words.requests_saved.value is None
    assert (words.tokens, words.seconds) == (None, None)
    assert words.pages_saved.value == pytest.approx(0.5, abs=0.04)
    uncounted = dict.fromkeys(sample.keys, PageRequests(1, None, None))
    words, _ = both(measure_empty_pages(sample, uncounted, 50))
    assert words.requests_saved.value == pytest.approx(0.5, abs=0.04)
    assert (words.tokens, words.seconds) == (None, None)


@pytest.mark.parametrize(
    ("empty", "full", "documents"),
    [(FEWEST_OF_A_KIND - 1, 100, 20), (100, FEWEST_OF_A_KIND - 1, 20), (100, 100, 9), (0, 0, 1)],
)
def test_of_too_few_nothing_is_said(empty: int, full: int, documents: int) -> None:
    pages = [page(number % documents, number, COMMON[:20], number >= empty) for number in range(empty + full)]
    found = measured(sample_of(pages))
    assert found == EmptyPages(empty + full, empty, empty + full, None, None)


def test_pages_without_text_are_asked_about_by_nobody_and_are_not_counted() -> None:
    blank = [ReviewedPage("d/0", number, " \n\u2003", (), ()) for number in range(50)]
    assert sample_of(blank).pages == 0


def test_of_many_pages_some_documents_are_kept_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(empty_pages, "MOST_PAGES", PAGES // 3)
    pages = list(planted("Schiff"))
    sample = sample_of(pages)
    found = measured(sample)
    assert (found.pages, found.empty) == (PAGES, PAGES // 2)
    assert PAGES // 6 < found.measured < PAGES // 2
    kept = {doc_id for doc_id, _ in sample.keys}
    assert sorted(sample.keys) == sorted(
        (each.doc_id, each.page_num) for each in pages if each.doc_id in kept
    )
    # Order does not decide which.
    assert {doc_id for doc_id, _ in sample_of(pages[::-1]).keys} == kept


def test_no_word_can_be_read_back() -> None:
    sample = sample_of([page(0, 1, ["ZEBRAQUARTZ", "Hull"], 1)])
    assert "ZEBRAQUARTZ" not in repr(astuple(sample)).upper()
    assert sample.words[0].shape == hashed_words("anything").shape


def test_hashes_are_those_of_every_process_and_any_text_has_them() -> None:
    assert list(np.flatnonzero(hashed_words("Hull Hull"))) == [2, 219, 312, 352]
    for text in ("", "\0\ud800", "🚢" * 3, "ǅ İ ß ﬁ", "a\u2028b\x1cc d"):
        assert np.isfinite(hashed_words(text)).all()
    assert count_letters("Öl 9, 船!") == 3
