"""Whether two on the same documents differ by more than chance: planted differences, and brute force."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preannotation_assets.evaluation.bootstrap import Ratios
from preannotation_assets.evaluation.paired import PairedDifference, paired_differences

Counts = list[tuple[int, int]]


def column(counts: Counts) -> Ratios:
    return Ratios(
        np.array([[float(part)] for part, _ in counts]), np.array([[float(whole)] for _, whole in counts])
    )


def difference(first: Counts, second: Counts, samples: int = 1000) -> PairedDifference:
    (found,) = paired_differences(column(first), column(second), samples, seed=1)
    return found


def share(counts: Counts) -> float | None:
    whole = sum(each for _, each in counts)
    return sum(part for part, _ in counts) / whole if whole else None


def by_brute_force(first: Counts, second: Counts) -> float:
    """The share of all ways to exchange documents after which the two differ as much, or cannot be told."""
    one, other = share(first), share(second)
    assert one is not None
    assert other is not None
    as_far = 0
    for exchanged in product([False, True], repeat=len(first)):
        pairs = [(b, a) if swap else (a, b) for a, b, swap in zip(first, second, exchanged, strict=True)]
        then_one, then_other = share([a for a, _ in pairs]), share([b for _, b in pairs])
        unknown = then_one is None or then_other is None
        as_far += unknown or abs((then_other or 0) - (then_one or 0)) >= abs(other - one) - 1e-9
    return as_far / 2 ** len(first)


counts_of = st.integers(0, 6).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole)))


@settings(max_examples=60)
@given(st.lists(st.tuples(counts_of, counts_of), min_size=2, max_size=7))
def test_the_p_value_is_that_of_all_exchanges(
    documents: list[tuple[tuple[int, int], tuple[int, int]]],
) -> None:
    first, second = [one for one, _ in documents], [other for _, other in documents]
    found = difference(first, second, samples=128)
    if share(first) is None or share(second) is None:
        assert found == PairedDifference(None, None, None)
    else:
        assert found.value == pytest.approx((share(second) or 0) - (share(first) or 0))
        assert found.p_value == pytest.approx(by_brute_force(first, second))


def test_drawn_exchanges_come_near_to_all_of_them() -> None:
    first = [(5, 10), (6, 10), (4, 10), (7, 10), (5, 10), (6, 10), (5, 10), (8, 10), (4, 10), (6, 10)]
    second = [(7, 10), (7, 10), (3, 10), (8, 10), (7, 10), (5, 10), (8, 10), (8, 10), (6, 10), (7, 10)]
    every, drawn = difference(first, second, samples=1024), difference(first, second, samples=1023)
    assert every.p_value == pytest.approx(by_brute_force(first, second))
    assert every.p_value != drawn.p_value
    assert drawn.p_value == pytest.approx(every.p_value, abs=0.03)


def test_a_planted_difference_is_found_and_alike_ones_are_not() -> None:
    random = np.random.default_rng(7)
    wholes = random.integers(5, 40, size=40)
    hard = random.beta(4, 4, size=40)
    found = []
    for gain in (0.0, 0.1):
        first = [
            (int(random.binomial(whole, each)), int(whole)) for whole, each in zip(wholes, hard, strict=True)
        ]
        second = [
            (int(random.binomial(whole, min(1.0, each + gain))), int(whole))
            for whole, each in zip(wholes, hard, strict=True)
        ]
        found.append(difference(first, second))
    alike, better = found
    assert alike.p_value is not None
    assert alike.p_value > 0.05
    assert better.p_value is not None
    assert better.p_value < 0.01
    assert better.interval is not None
    assert better.interval.low > 0


def test_documents_that_are_hard_for_both_do_not_hide_a_difference() -> None:
    """Every document gains the same, and documents differ by far more: unpaired intervals would overlap."""
    first = [(2 * number, 40) for number in range(20)]
    second = [(part + 1, whole) for part, whole in first]
    found = difference(first, second)
    assert found.value == pytest.approx(1 / 40)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (pytest.approx(1 / 40), pytest.approx(1 / 40))
    assert found.p_value == pytest.approx(1 / 1001)


def test_the_same_twice_differs_by_nothing() -> None:
    same = [(number % 5, 5) for number in range(30)]
    found = difference(same, same)
    assert (found.value, found.p_value) == (0.0, 1.0)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (0.0, 0.0)


@pytest.mark.parametrize(("documents", "samples"), [(1, 1000), (30, 0)])
def test_what_cannot_be_known_is_not_told(documents: int, samples: int) -> None:
    found = difference([(1, 2)] * documents, [(2, 2)] * documents, samples)
    assert (found.value, found.interval, found.p_value) == (0.5, None, None)
