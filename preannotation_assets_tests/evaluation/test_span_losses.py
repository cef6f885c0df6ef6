from collections import Counter

import pytest
from random_marks import suggested

from preannotation_assets.evaluation.judging import judge
from preannotation_assets.evaluation.losses import Loss, losses_of
from preannotation_assets.evaluation.pages import GivenQuote, ReviewedPage
from preannotation_assets.extraction.segments import Mark
from preannotation_assets.extraction.spans import QuoteOutcome

TEXT = "MV HANSA IV left Hull for Kiel, then Hull again, and Bremen at last."


def mark(quote: str, label: str, nth: int = 0) -> Mark:
    start = -1
    for _ in range(nth + 1):
        start = TEXT.index(quote, start + 1)
    return Mark(start, start + len(quote), label)


def page(*quotes: GivenQuote, failure: str | None = None) -> ReviewedPage:
    return ReviewedPage("a", 1, TEXT, (), (), quotes, failure)


def given(quote: str, label: str, outcome: QuoteOutcome, *, placed: bool = False) -> GivenQuote:
    where = mark(quote, label)
    return GivenQuote(label, quote, outcome, (where.start, where.end) if placed else None)


@pytest.mark.parametrize(
    ("quote", "expected"),
    [
        (None, Loss.NOT_ANSWERED),
        (GivenQuote("port", "Bremen", QuoteOutcome.NOT_FOUND, None), Loss.NOT_GROUNDED),
        (GivenQuote("port", "BREMEM ", QuoteOutcome.NOT_FOUND, None), Loss.NOT_GROUNDED),
        (GivenQuote("owner", "Bremen", QuoteOutcome.ALREADY_TAKEN, None), Loss.NOT_GROUNDED),
        (GivenQuote("port", "Hull", QuoteOutcome.NOT_FOUND, None), Loss.NOT_ANSWERED),
        # 71 % alike.
        (GivenQuote("port", "Bremerhaven", QuoteOutcome.NOT_FOUND, None), Loss.NOT_ANSWERED),
        (GivenQuote("port", "", QuoteOutcome.EMPTY, None), Loss.NOT_ANSWERED),
        (GivenQuote("harbour", "Bremen", QuoteOutcome.UNKNOWN_LABEL, None), Loss.CUT_BY_RULE),
        (given("Bremen at", "port", QuoteOutcome.INVALID_VALUE, placed=True), Loss.CUT_BY_RULE),
        (given("Bremen at", "port", QuoteOutcome.OVERLAP, placed=True), Loss.DROPPED),
        (given("and Bremen", "owner", QuoteOutcome.CUT_BY_BORDER, placed=True), Loss.DROPPED),
        (given("Hull", "port", QuoteOutcome.OVERLAP, placed=True), Loss.NOT_ANSWERED),
        # Kept, and not published.
        (given("Bremen", "port", QuoteOutcome.KEPT, placed=True), Loss.HELD_BACK),
    ],
)  # fmt: skip
def test_the_stage_at_which_a_span_was_lost(quote: GivenQuote | None, expected: Loss) -> None:
    added = [mark("Bremen", "port")]
    assert losses_of(page(*filter(None, [quote])), added) == (expected,)


def test_what_was_published_was_not_lost_before() -> None:
    """The expert deleted or changed it, and added this."""
    quote = given("Bremen", "port", QuoteOutcome.KEPT, placed=True)
    published = ReviewedPage("a", 1, TEXT, (), suggested(mark("Bremen", "port")), (quote,))
    assert losses_of(published, [mark("Bremen", "port")]) == (Loss.NOT_ANSWERED,)


@pytest.mark.parametrize(
    ("failure", "expected"), [("timed_out", Loss.PAGE_FAILED), ("too_many_spans", Loss.CUT_BY_RULE)]
)
def test_all_spans_of_a_failed_page_are_lost_with_it(failure: str, expected: Loss) -> None:
    quotes = [GivenQuote("port", "Kiel", QuoteOutcome.NOT_FOUND, None)]
    assert losses_of(page(*quotes, failure=failure), [mark("Kiel", "port")] * 2) == (expected, expected)


def test_a_quote_explains_one_span_and_one_of_the_same_label_goes_first() -> None:
    quotes = [
        GivenQuote("owner", "Hull", QuoteOutcome.UNKNOWN_LABEL, None),
        GivenQuote("port", "Hull", QuoteOutcome.NOT_FOUND, None),
    ]
    added = [mark("Hull", "port"), mark("Hull", "port", 1), mark("Kiel", "port")]
    assert losses_of(page(*quotes), added) == (Loss.NOT_GROUNDED, Loss.CUT_BY_RULE, Loss.NOT_ANSWERED)


def test_only_what_no_suggestion_is_near_was_lost() -> None:
    gold = (mark("HANSA IV", "vessel_name"), mark("Kiel", "port"), mark("Bremen", "port"))
    near = suggested(mark("MV HANSA", "vessel_name"), mark("Kiel", "owner"))
    judged = judge(ReviewedPage("a", 1, TEXT, gold, near))
    assert judged.losses == (Loss.NOT_ANSWERED,)
    assert judged.actions.added == (mark("Bremen", "port"),)
    assert Counter(judged.actions.counts) == {"border_moved": 1, "label_changed": 1, "added": 1}
