"""When a run says that nearly all answers are empty, and when it does not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.extraction.empty_answers import (
    FEWEST_ANSWERS,
    FEWEST_TRIED,
    PageAnswer,
    answered_pages,
    answers_doubt,
    page_doubts,
)
from preannotation_assets.extraction.suggesting import ChunkAnswer, suggest

PAGE = "The Marie-Louise left Hull."
counts = st.integers(0, 60)


def answer(*quotes: str, start: int = 0) -> ChunkAnswer:
    spans = [{"port": quote} for quote in quotes]
    return ChunkAnswer(start, len(PAGE), json.dumps({"spans": spans}), None, None, 1)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([], PageAnswer.NOT_ASKED),
        ([answer()], PageAnswer.EMPTY),
        ([answer(), answer(start=4)], PageAnswer.EMPTY),
        ([answer("Atlantis")], PageAnswer.REJECTED),
        ([answer(), answer("Atlantis")], PageAnswer.REJECTED),
        ([answer("Hull")], PageAnswer.MARKED),
        ([answer("Atlantis"), answer("Hull", start=4)], PageAnswer.MARKED),
    ],
)
def test_what_the_answers_about_a_page_come_to(answers: list[ChunkAnswer], expected: PageAnswer) -> None:
    found = suggest(PAGE, answers, ["port"], overlaps_allowed=False)
    assert PageAnswer.of(found, was_asked=bool(answers)) is expected


@pytest.mark.parametrize(
    ("empty", "answered", "is_told"),
    [(20, 20, True), (18, 20, True), (17, 20, False), (19, 19, False), (0, 0, False), (899, 1000, False)],
)
def test_nine_of_ten_answers_of_at_least_twenty_are_told(empty: int, answered: int, is_told: bool) -> None:
    doubt = answers_doubt(empty, answered)
    assert (doubt is not None) is is_told
    if doubt:
        assert doubt.startswith(f"{empty} of {answered} answers came back empty")
        assert "preannotate labels check" in doubt


@given(marked=counts, rejected=counts, empty=counts, blank=counts)
def test_pages_without_text_change_nothing_and_at_most_one_thing_is_told(
    marked: int, rejected: int, empty: int, blank: int
) -> None:
    pages = {
        PageAnswer.MARKED.value: marked,
        PageAnswer.REJECTED.value: rejected,
        PageAnswer.EMPTY.value: empty,
    }
    doubts = page_doubts(pages)
    assert page_doubts({**pages, PageAnswer.NOT_ASKED.value: blank}) == doubts
    asked = answered_pages({**pages, PageAnswer.NOT_ASKED.value: blank})
    assert asked == marked + rejected + empty
    assert len(doubts) <= 1
    assert bool(doubts) is (asked >= FEWEST_ANSWERS and 10 * max(empty, rejected) >= 9 * asked)
    if doubts:
        assert ("came back empty" in doubts[0]) is (empty > rejected)


def test_quotes_that_are_not_on_their_pages_are_another_warning_than_empty_answers() -> None:
    (doubt,) = page_doubts({"all_rejected": 19, "marked": 1})
    assert doubt.startswith("of 19 of 20 pages the model named something")
    assert "empty" not in doubt


def test_a_trial_of_a_few_pages_speaks_earlier_and_a_manifest_without_counts_not_at_all() -> None:
    assert page_doubts({"empty": FEWEST_TRIED}, FEWEST_TRIED)
    assert not page_doubts({"empty": FEWEST_TRIED - 1}, FEWEST_TRIED)
    assert not page_doubts({"empty": 4, "marked": 1}, FEWEST_TRIED)
    assert not page_doubts({})
