import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.publishing.distribution import Distribution
from preannotation_assets.publishing.report.plots import histogram, histogram_of_values

COUNTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=30)


@given(COUNTS)
def test_bars_are_as_high_as_their_counts_and_stay_inside(counts: list[int]) -> None:
    plot = histogram(counts, [str(index) for index in range(len(counts) + 1)])
    assert [bar.count for bar in plot.bars] == counts
    for bar in plot.bars:
        assert bar.x >= 0
        assert bar.x + bar.width <= plot.width
        assert bar.y + bar.height == pytest.approx(plot.baseline, abs=0.02)
        assert (bar.height > 0) == (bar.count > 0)
        assert bar.height == pytest.approx(bar.count / max(*counts, 1) * plot.baseline, abs=1.51)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_every_value_is_in_a_bar(values: list[float]) -> None:
    plot = histogram_of_values(Distribution.of(values), " s")
    assert plot is not None
    assert sum(bar.count for bar in plot.bars) == len(values)


def test_a_single_long_answer_does_not_squeeze_the_others() -> None:
    plot = histogram_of_values(Distribution.of([1.0 + index / 100 for index in range(100)] + [600.0]), " s")
    assert plot is not None
    assert plot.ticks[-1].words == "2 s and more"
    assert plot.bars[-1].count >= 1
    assert sum(bar.count > 0 for bar in plot.bars) >= 10


def test_of_nothing_there_is_no_plot() -> None:
    assert histogram_of_values(Distribution(), " s") is None
