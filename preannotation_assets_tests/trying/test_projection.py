import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.trying.projection import Measure, project, rates, together

MEASURES = st.lists(
    st.builds(
        Measure,
        page_tokens=st.integers(1, 6000),
        answer_tokens=st.integers(0, 3000),
        reading_seconds=st.floats(0, 100),
        writing_seconds=st.floats(0, 1000),
    ),
    min_size=1,
    max_size=130,
)


def test_a_hand_made_case() -> None:
    measures = [Measure(100, 10, 1.0, 3.0), Measure(300, 50, 1.0, 11.0)]
    speeds = rates(measures)
    assert (speeds.reading, speeds.writing, speeds.answer_share) == (200.0, 60 / 14, 0.15)
    projection = project(measures, 4000)
    assert projection is not None
    # 16 seconds for 400 tokens; 4 and 12 seconds lie 0 off that line.
    assert (projection.seconds, projection.lowest, projection.highest) == (160.0, 160.0, 160.0)
    projection = project([Measure(100, 10, 0.0, 6.0), Measure(100, 50, 0.0, 2.0)], 1000)
    assert projection is not None
    # Standard error of the rate: sqrt((4 + 4) / 1 / 2) / 100 = 0.02; Student's t, one degree, 95 %: 6.314.
    assert projection.seconds == pytest.approx(40.0)
    assert projection.highest == pytest.approx(40.0 + 6.314 * 0.02 * 1000)
    assert projection.lowest == 0.0


def test_what_is_not_known_is_none() -> None:
    assert project([], 1000) is None
    assert project([Measure(0, 0, 0.0, 0.0)], 1000) is None
    single = project([Measure(100, 10, 1.0, 1.0)], 1000)
    assert single is not None
    assert (single.seconds, single.lowest, single.highest) == (20.0, None, None)
    unknown = rates([Measure(100, None, 0.0, 5.0)])
    assert (unknown.reading, unknown.writing, unknown.answer_share) == (None, None, None)


@given(MEASURES, st.integers(0, 10**9))
def test_a_projection_is_a_number_within_its_range_and_grows_with_the_batch(
    measures: list[Measure], tokens: int
) -> None:
    projection, double = project(measures, tokens), project(measures, 2 * tokens)
    assert projection is not None
    assert double is not None
    assert math.isfinite(projection.seconds)
    assert double.seconds == pytest.approx(2 * projection.seconds)
    if len(measures) > 1:
        assert projection.lowest is not None
        assert projection.highest is not None
        assert 0 <= projection.lowest <= projection.seconds * (1 + 1e-9)
        assert projection.highest >= projection.seconds


@given(MEASURES)
def test_a_batch_that_was_measured_whole_is_projected_exactly(measures: list[Measure]) -> None:
    projection = project(measures, sum(measure.page_tokens for measure in measures))
    assert projection is not None
    assert projection.seconds == pytest.approx(sum(measure.seconds for measure in measures))


@pytest.mark.parametrize("count", [3, 5, 10])
def test_nine_of_ten_intervals_hold_the_truth(count: int) -> None:
    """Pages whose time is proportional to their length but for noise, drawn 2,000 times."""
    chance = random.Random(1)
    batch = []
    for _ in range(1000):
        tokens = chance.randint(100, 3000)
        batch.append(Measure(tokens, None, 0.0, tokens * chance.lognormvariate(-4, 0.3)))
    truth, size = sum(page.seconds for page in batch), sum(page.page_tokens for page in batch)
    held = 0
    for _ in range(2000):
        projection = project(chance.sample(batch, count), size)
        assert projection is not None
        assert projection.lowest is not None
        assert projection.highest is not None
        held += projection.lowest <= truth <= projection.highest
    assert 0.80 <= held / 2000 <= 0.97


def test_requests_of_one_page_are_one_measure() -> None:
    """Their times are alike: counted apart they would make the interval too narrow."""
    page = together([Measure(100, 10, 1.0, 2.0), Measure(200, 30, 3.0, 4.0)])
    assert page == Measure(300, 40, 4.0, 6.0)
    assert together([Measure(1, None, 0.0, 1.0), Measure(1, 5, 0.0, 1.0)]).answer_tokens is None
