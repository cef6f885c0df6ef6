from itertools import product

import numpy as np
import pytest

from preannotation_assets.evaluation.bootstrap import Interval, Ratios, ratio_intervals


def columns(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([[value] for value in values], dtype=np.float64)


def test_the_interval_is_that_of_all_samples_there_could_be() -> None:
    parts, wholes = (1.0, 4.0, 9.0, 2.0, 7.0), (2.0, 5.0, 30.0, 9.0, 8.0)
    every = [
        sum(parts[each] for each in drawn) / sum(wholes[each] for each in drawn)
        for drawn in product(range(5), repeat=5)
    ]
    low, high = np.quantile(every, [0.025, 0.975])
    (found,) = ratio_intervals(Ratios(columns(*parts), columns(*wholes)), 20_000, seed=1)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))


def test_documents_that_are_alike_leave_no_doubt() -> None:
    (found,) = ratio_intervals(Ratios(columns(3, 3, 3), columns(4, 4, 4)), 200, seed=1)
    assert found == Interval(0.75, 0.75)


def test_the_same_seed_gives_the_same_interval_and_another_one_another() -> None:
    parts, wholes = columns(*range(1, 30)), columns(*range(60, 31, -1))
    first, again, other = (ratio_intervals(Ratios(parts, wholes), 120, seed)[0] for seed in (1, 1, 2))
    assert first == again != other


def test_more_documents_leave_less_doubt() -> None:
    def width(times: int) -> float:
        (found,) = ratio_intervals(
            Ratios(columns(*[0, 1, 2] * times), columns(*[2, 2, 2] * times)), 500, seed=1
        )
        assert found is not None
        return found.high - found.low

    assert width(100) < width(10) / 2 < width(2)


def test_one_document_or_nothing_to_divide_by_has_no_interval() -> None:
    assert ratio_intervals(Ratios(columns(1), columns(2)), 100, seed=1) == [None]
    assert ratio_intervals(Ratios(columns(0, 0), columns(0, 0)), 100, seed=1) == [None]
    assert ratio_intervals(Ratios(columns(1, 2), columns(2, 2)), 0, seed=1) == [None]


def test_a_sample_without_anything_to_divide_by_is_left_out() -> None:
    (found,) = ratio_intervals(Ratios(columns(1, 0), columns(2, 0)), 100, seed=1)
    assert found == Interval(0.5, 0.5)
