"""Percentiles of any number of values, in the memory of a bounded number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.publishing.distribution import Distribution


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 3), (0.95, 4), (1.0, 4)])
def test_percentiles_are_values_that_were_added(share: float, value: float) -> None:
    assert Distribution.of([4, 1, 3, 2]).percentile(share) == value


def test_of_nothing_nothing_is_known() -> None:
    assert Distribution().percentile(0.5) is None


@given(st.lists(st.floats(1e-4, 1e5), min_size=1), st.floats(0, 1))
def test_a_percentile_is_off_by_a_twentieth_of_a_percent_at_most(values: list[float], share: float) -> None:
    exact = sorted(values)[min(len(values) - 1, int(len(values) * share))]
    found = Distribution.of(values)
    assert found.percentile(share) == pytest.approx(exact, rel=5.01e-4)
    assert (len(found), found.total) == (len(values), pytest.approx(sum(values)))


def test_more_values_take_no_more_room() -> None:
    found = Distribution.of(1.0 + 0.000_1 * number for number in range(90_000))
    assert len(found.counts) <= 9_001
