"""How two sets of suggestions for the same pages differ: the scores of the one less those of the other."""

from random import Random

import pytest

from preannotation_assets.evaluation.actions import ActionCosts
from preannotation_assets.evaluation.differences import score_differences
from preannotation_assets.evaluation.judging import JudgedPage, judge
from preannotation_assets.evaluation.matching import Scheme
from preannotation_assets.evaluation.pages import ReviewedPage, SuggestedSpan
from preannotation_assets.evaluation.scores import score_pages
from preannotation_assets.extraction.segments import Mark

LABELS = ("port", "owner", "date")
COSTS = ActionCosts()


def pages(right: float, seed: int = 3) -> list[JudgedPage]:
    """12 documents of two pages; so much of the gold is suggested as it is, else with another label."""
    gold, choice = Random(1), Random(seed)
    found = []
    for number in range(24):
        marks = [Mark(10 * place, 10 * place + 5, gold.choice(LABELS)) for place in range(6)]
        suggested = [
            SuggestedSpan(mark.start, mark.end, mark.label if choice.random() < right else "other")
            for mark in marks
        ]
        page = ReviewedPage(f"doc {number // 2}", number % 2, "x" * 70, tuple(marks), tuple(suggested))
        found.append(judge(page))
    return found


def test_values_are_those_of_the_scores_and_better_is_above_zero() -> None:
    worse, better = pages(0.5), pages(0.9)
    found = score_differences(worse, better, COSTS, 500)
    before, after = (score_pages(each, COSTS, 0) for each in (worse, better))
    strict = before.overall(Scheme.STRICT), after.overall(Scheme.STRICT)
    for name in ("precision", "recall", "f1"):
        values = [getattr(each, name).value for each in strict]
        assert getattr(found, name).value == pytest.approx(values[1] - values[0])
    saved = (before.savings.saved.value or 0, after.savings.saved.value or 0)
    assert found.actions_saved.value == pytest.approx(saved[1] - saved[0])
    assert found.actions_saved.interval is not None
    assert 0 < found.actions_saved.interval.low < saved[1] - saved[0] < found.actions_saved.interval.high
    assert found.f1.p_value is not None
    assert found.f1.p_value < 0.01
    by_label = {each.label: each.f1.value for each in after.by_label}
    for score in before.by_label:
        if score.label != "other":
            expected = (by_label[score.label] or 0) - (score.f1.value or 0)
            assert found.f1_by_label[score.label].value == pytest.approx(expected)
    # It is in the gold of no page: nothing that could be right.
    assert found.f1_by_label["other"].value == 0


def test_back_to_front_it_is_the_same_with_the_other_sign() -> None:
    one, other = pages(0.6, seed=4), pages(0.7, seed=5)
    there, back = (score_differences(*pair, COSTS, 300) for pair in ((one, other), (other, one)))
    assert there.f1.value == pytest.approx(-(back.f1.value or 0))
    assert there.f1.p_value == pytest.approx(back.f1.p_value)


def test_other_pages_are_no_comparison() -> None:
    with pytest.raises(ValueError, match="different pages"):
        score_differences(pages(0.5), pages(0.5)[1:], COSTS, 10)
