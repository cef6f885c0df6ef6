"""What two compared variants would come to as a cascade, on pages whose answers are planted."""

import pytest
from shared.calibrations import halving

from preannotation_assets.comparing.answered_pages import AnsweredPage, PageCost
from preannotation_assets.comparing.cascades import (
    CascadeRequest,
    ComparedCascade,
    FilledShare,
    compare_cascade,
)
from preannotation_assets.evaluation.pages import GivenQuote, ReviewedPage, SuggestedSpan
from preannotation_assets.extraction.calibrated import Calibration, ConfidenceParts
from preannotation_assets.extraction.segments import Mark
from preannotation_assets.extraction.spans import QuoteOutcome

GOLD = (Mark(0, 4, "port"), Mark(5, 9, "port"))
DOUBTS = ("empty", "not_grounded", "invalid_value", "disagreement")
TEXT = "Hull Kiel Bonn"


def answered(
    name: str,
    places: tuple[tuple[int, int], ...],
    confidence: float = 0.9,
    seconds: float | None = 1.0,
    gold: tuple[Mark, ...] = GOLD,
    outcome: QuoteOutcome | None = None,
    failure: str | None = None,
    verdict: str | None = None,
) -> AnsweredPage:
    """A page on which these places are marked, and maybe one more quote with that outcome."""
    quotes = [GivenQuote("port", TEXT[slice(*place)], QuoteOutcome.KEPT, place) for place in places]
    quotes += [GivenQuote("port", "Rome", outcome, None)] if outcome else []
    spans = tuple(SuggestedSpan(*place, "port", confidence) for place in places)
    parts = {
        (*place, "port"): ConfidenceParts("port", confidence, None, None, 1.0, None, verdict)
        for place in places
    }
    page = ReviewedPage(name, 1, TEXT, gold, spans, tuple(quotes), failure)
    return AnsweredPage(page, parts, PageCost(10, 1, 0, 5, 5, seconds, seconds))


BOTH = ((0, 4), (5, 9))


def compared(*small: AnsweredPage, calibration: Calibration | None = None, **more: object) -> ComparedCascade:
    """The small one's pages, beside those of a large one that is always right and takes 10 s."""
    large = [
        answered(each.page.doc_id, BOTH if each.page.gold else (), seconds=10.0, gold=each.page.gold)
        for each in small
    ]
    doubts = more.get("doubts", DOUBTS)
    assert isinstance(doubts, tuple)
    return compare_cascade(CascadeRequest("s", "l", doubts), small, large, calibration, samples=50)


def test_the_pages_that_are_always_asked_are_told_by_reason_and_the_others_by_confidence() -> None:
    found = compared(
        answered("a", BOTH, 0.9),
        answered("b", ((0, 4),), 0.5),
        answered("c", ()),
        answered("d", BOTH, outcome=QuoteOutcome.NOT_FOUND),
        answered("e", BOTH, failure="timed_out"),
        answered("f", BOTH, verdict="invalid"),
    )
    assert found.doubted == {"empty": 1, "not_grounded": 1, "not_answered": 1, "invalid_value": 1}
    by_threshold = {point.threshold: point for point in found.curve}
    assert list(by_threshold) == [0.0, 0.501, 0.901]
    assert [round((point.asked or 0) * 6) for point in found.curve] == [4, 5, 6]
    # Of 12 spans one is missed until the page with it is asked about.
    assert by_threshold[0.0].f1.value == pytest.approx(22 / 23)
    assert by_threshold[0.501].lost.value == 0
    assert by_threshold[0.0].saved.value == pytest.approx((60 - 40 - 6) / 60)


def test_an_empty_answer_that_is_believed_is_never_asked_and_those_with_something_are_counted() -> None:
    pages = [answered("a", ()), answered("b", (), gold=()), answered("c", BOTH, 0.9)]
    found = compared(*pages, doubts=("not_grounded",))
    assert found.doubted == {}
    assert [point.asked for point in found.curve] == [0.0, pytest.approx(1 / 3)]
    assert (found.empty.empty, found.empty.filled) == (2, 1)
    assert found.empty.interval is not None


def test_a_calibration_decides_by_what_confidences_are_worth() -> None:
    found = compared(answered("a", BOTH, 0.9), calibration=halving())
    assert [point.threshold for point in found.curve] == [0.0, 0.451]


def test_pages_of_unknown_time_are_left_out_and_counted() -> None:
    found = compared(answered("a", BOTH), answered("b", BOTH, seconds=None))
    assert (found.pages, found.untimed) == (1, 1)
    assert "times of 1 more are unknown" in next(iter(found.lines()))
    assert list(compared(answered("b", BOTH, seconds=None)).curve) == []


def test_with_one_document_a_threshold_is_picked_and_nothing_is_known_of_others() -> None:
    found = list(compared(answered("a", BOTH, 0.9)).lines())
    assert "0.1    0          -      -" in found
    assert not any("none" in line for line in found)


def test_the_interval_of_a_share_is_wilson_s() -> None:
    # Brown, Cai and DasGupta 2001 have 0.0 to 0.278 for none of 10.
    none = FilledShare.of(10, 0).interval
    assert none is not None
    assert (none.low, none.high) == (0.0, pytest.approx(0.2775, abs=1e-3))
    assert FilledShare.of(0, 0).interval is None
