import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preannotation_assets.extraction.chunking import ChunkLimits, chunk_page
from preannotation_assets.extraction.pages import PageRow, text_sha256
from preannotation_assets.trying.survey import PageSample, SizeCount, survey

LIMITS = ChunkLimits(64, 8)


def page(number: int, text: str = "Arrived at Hamburg.", doc_id: str = "d") -> PageRow:
    return PageRow(doc_id, number, text, text_sha256(text))


def sampled(pages: list[PageRow], size: int) -> list[int]:
    sample = PageSample(size)
    survey(pages, sample, SizeCount(LIMITS, lambda _: False), lambda _: True)
    return [item.page_num for item in sample.pages()]


def test_the_sample_is_the_same_each_time_in_any_order_and_spread_over_the_batch() -> None:
    pages = [page(number) for number in range(1000)]
    chosen = sampled(pages, 10)
    assert chosen == sorted(set(chosen)) == sampled(pages[::-1], 10)
    assert len(chosen) == 10
    # 10 random places in 1000: a run that begins at the first page would have none beyond.
    assert chosen[-1] > 500
    assert chosen[0] < 500
    assert len(set(sampled([*pages, page(1000)], 10)) - set(chosen)) <= 1


def test_blank_pages_and_those_that_are_not_wanted_are_counted_and_not_drawn() -> None:
    pages = [page(1, " \n"), page(2), page(3), page(4, "")]
    sample, size = PageSample(5), SizeCount(LIMITS, lambda _: False)
    survey(pages, sample, size, lambda item: item.page_num != 2)
    assert [item.page_num for item in sample.pages()] == [3]
    assert size.total().pages == 4


def test_a_sample_larger_than_the_batch_is_the_batch() -> None:
    assert sampled([page(2), page(1)], 5) == [1, 2]


def test_chunks_of_one_text_and_answered_ones_are_not_asked_again() -> None:
    answered = text_sha256("b " * 10)
    size = SizeCount(LIMITS, lambda digest: digest == answered)
    for text in ("a " * 10, "a " * 10, "b " * 10):
        size.add(text)
    total = size.total()
    assert (total.pages, total.all_requests, total.requests, total.is_exact) == (3, 2, 1, True)
    assert total.tokens == chunk_page("a " * 10, LIMITS)[0].estimated_tokens


@settings(max_examples=30)
@given(st.lists(st.text(min_size=0, max_size=400), max_size=40))
def test_a_batch_that_is_measured_whole_is_counted_exactly(texts: list[str]) -> None:
    size = SizeCount(LIMITS, lambda _: False, most_measured=40)
    chunks = {}
    for text in texts:
        size.add(text)
        for chunk in chunk_page(text, LIMITS):
            chunks[text[chunk.start : chunk.end]] = chunk.estimated_tokens
    total = size.total()
    assert total.is_exact
    assert (total.requests, total.characters) == (len(chunks), sum(map(len, texts)))


@pytest.mark.parametrize("pages", [101, 1000, 3333])
def test_a_large_batch_is_reckoned_from_every_nth_page(pages: int) -> None:
    texts = [
        f"page {number} " + "the sea was calm and the air clear, " * (1 + number % 7)
        for number in range(pages)
    ]
    exact = SizeCount(LIMITS, lambda _: False, most_measured=pages)
    reckoned = SizeCount(LIMITS, lambda _: False, most_measured=100)
    for text in texts:
        exact.add(text)
        reckoned.add(text)
    truth, guess = exact.total(), reckoned.total()
    assert truth.is_exact
    assert not guess.is_exact
    assert guess.pages == pages
    assert math.isclose(guess.tokens, truth.tokens, rel_tol=0.1)
    assert math.isclose(guess.requests, truth.requests, rel_tol=0.1)
