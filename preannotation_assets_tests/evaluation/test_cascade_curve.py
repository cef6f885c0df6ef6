"""A cascade's curve, recomputed page by page; a threshold is told on documents it was not picked on."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.evaluation.cascade_curve import (
    CascadePage,
    PageChoice,
    cascade_curve,
    choose_threshold,
    halves,
)

# Of 10 spans the large model has 10 right, the small one as many as it says.
LARGE = PageChoice(above=-1.0, right=10, suggested=10, large_seconds=8.0)


def page(name: str, lowest: float, right: int) -> CascadePage:
    """A page whose small answer has that least confidence, and is asked again above it."""
    small = PageChoice(above=-1.0, right=right, suggested=10, large_seconds=0.0)
    asked = PageChoice(above=lowest, right=10, suggested=10, large_seconds=8.0)
    return CascadePage(name, gold=10, small_seconds=1.0, large=LARGE, choices=(small, asked))


def pages(seed: int, count: int = 60) -> list[CascadePage]:
    """A fifth of them is hard, and mostly looks so."""
    random = Random(seed)
    made = []
    for number in range(count):
        is_hard = random.random() < 0.2
        lowest = random.uniform(0.1, 0.7) if is_hard else random.uniform(0.5, 1.0)
        made.append(page(f"d{number // 2}", lowest, 6 if is_hard else 10))
    return made


def test_a_point_is_what_the_pages_come_to() -> None:
    three = [page("a", 0.2, 4), page("b", 0.6, 8), page("b", 0.9, 10)]
    at_0, at_half, at_1 = cascade_curve(three, samples=100, price=0.5, thresholds=(0.0, 0.5, 1.0))
    assert at_0.f1.value == pytest.approx(22 / 30)
    assert at_0.lost.value == pytest.approx(8 / 30)
    assert at_0.saved.value == pytest.approx(1 - 1.5 / 24)
    assert at_0.asked == 0
    assert at_half.f1.value == pytest.approx(28 / 30)
    assert at_half.asked == pytest.approx(1 / 3)
    assert at_half.saved.value == pytest.approx(1 - 1 / 3 - 1.5 / 24)
    assert (at_1.f1.value, at_1.lost.value, at_1.asked) == (1.0, 0.0, 1.0)
    # All that the small model took comes on top.
    assert at_1.saved.value == pytest.approx(-1.5 / 24)
    assert at_half.f1.interval is not None
    assert at_half.lost.interval is not None
    assert at_half.lost.interval.low <= 2 / 30 <= at_half.lost.interval.high


@given(st.integers(0, 10_000))
def test_a_higher_threshold_never_costs_less(seed: int) -> None:
    curve = cascade_curve(pages(seed, 20), samples=0)
    asked = [point.asked or 0.0 for point in curve]
    assert asked == sorted(asked)
    assert [point.threshold for point in curve] == sorted({point.threshold for point in curve})
    # From nothing that confidence could ask for to all of it.
    assert asked[0] == 0
    assert asked[-1] == pytest.approx(1.0)


@given(st.integers(0, 10_000))
def test_the_halves_share_no_document_and_have_them_all(seed: int) -> None:
    every = pages(seed, 21)
    seen, unseen = halves(every)
    assert not {each.doc_id for each in seen} & {each.doc_id for each in unseen}
    assert len(seen) + len(unseen) == len(every)
    assert halves(every[::-1])[0] == seen[::-1]


def picked_on(some: list[CascadePage]) -> float:
    """By the curve, which other tests recompute."""
    good = [point for point in cascade_curve(some, samples=0) if (point.lost.value or 0) <= 0.01]
    return max(((point.saved.value or 0), point.threshold) for point in good)[1]


def test_each_half_is_told_at_the_threshold_that_was_picked_on_the_other() -> None:
    every = pages(1, 200)
    choice = choose_threshold(every, samples=200, price=1.0, most_lost=0.01)
    assert choice.picked is not None
    assert choice.held_out is not None
    assert choice.picked.threshold == choice.held_out.threshold == picked_on(every)
    right = spent = 0.0
    one, other = halves(every)
    for told, fitted in ((one, other), (other, one)):
        threshold = picked_on(fitted)
        found = [each.at(threshold) for each in told]
        right += sum(each.right for each in found)
        spent += sum(each.large_seconds for each in found) + len(told)
    assert choice.held_out.f1.value == pytest.approx(right / 2000)
    assert choice.held_out.saved.value == pytest.approx(1 - spent / 1600)
    assert choice.held_out.lost.interval is not None


def test_where_the_small_model_costs_as_much_or_loses_too_much_no_threshold_is_picked() -> None:
    assert choose_threshold(pages(1), samples=0, price=8.0).picked is None
    hopeless = [page(f"d{number}", 0.99, 0) for number in range(20)]
    assert choose_threshold(hopeless, samples=0).picked is None
    assert choose_threshold([], samples=0).picked is None
