"""Whether a server reuses the constant part: found again where it was planted, unknown where it cannot be."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.model_servers.prefix_reuse import PrefixReadings, Reading

CONSTANT = 1800
SECONDS_A_TOKEN = 1e-3
ATTENTION = 1e-5


def _seconds(tokens: float, reused: float) -> float:
    def work(count: float) -> float:
        return count + ATTENTION * count * count

    return SECONDS_A_TOKEN * (work(tokens) - work(reused))


def _planted(
    share: float, noise: float, pages: int, seed: int, *, longest: int = 4000, outliers: float = 0.0
) -> PrefixReadings:
    """Pages that reuse a share of the constant part; some are cached as a whole. One warm-up, read cold."""
    chance = random.Random(seed)
    readings = PrefixReadings(2400)
    readings.warm_ups.append(Reading(CONSTANT, _seconds(CONSTANT, 0) * math.exp(chance.gauss(0, noise))))
    for _ in range(pages):
        tokens = CONSTANT + chance.randrange(300, longest)
        reused = tokens - 10 if chance.random() < outliers else share * CONSTANT
        seconds = _seconds(tokens, reused) * math.exp(chance.gauss(0, noise))
        readings.pages.append(Reading(tokens, seconds, estimated_tokens=round(1.3 * tokens)))
    return readings


@pytest.mark.parametrize("share", [0.0, 0.45, 1.0])
@pytest.mark.parametrize(("noise", "pages", "outliers"), [(0.02, 5, 0), (0.1, 100, 0), (0.1, 100, 0.1)])
def test_a_planted_share_is_found(share: float, noise: float, pages: int, outliers: float) -> None:
    found = _planted(share, noise, pages, seed=5, outliers=outliers).reused()
    assert found is not None
    assert abs(found - share) <= 0.25


@pytest.mark.parametrize("share", [0.0, 0.45, 1.0])
@pytest.mark.parametrize(("noise", "pages"), [(0.05, 5), (0.2, 40), (0.4, 100)])
def test_what_is_told_is_hardly_ever_wrong(share: float, noise: float, pages: int) -> None:
    found = [_planted(share, noise, pages, seed).reused() for seed in range(40)]
    told = [value for value in found if value is not None]
    assert all(abs(value - share) <= 0.3 for value in told)
    if share == 1.0:
        assert len(told) >= 30


def test_pages_of_one_length_tell_nothing_without_a_cold_reading() -> None:
    readings = PrefixReadings(2400)
    chance = random.Random(3)
    readings.pages.extend(Reading(3000, 1.2 * math.exp(chance.gauss(0, 0.05))) for _ in range(100))
    assert readings.reused() is None


def test_a_warm_up_that_was_cached_itself_is_not_taken_for_a_cold_one() -> None:
    readings = _planted(1.0, 0.02, 30, seed=1)
    readings.warm_ups.insert(0, Reading(CONSTANT, _seconds(CONSTANT, CONSTANT - 4)))
    assert readings.reused() == 1.0


def test_cached_tokens_that_a_server_tells_are_taken_at_its_word() -> None:
    readings = PrefixReadings(2400)
    readings.warm_ups.append(Reading(1600, None))
    readings.pages.extend(Reading(3000, None, cached) for cached in (1600, 800, 0, 2900))
    assert readings.reused() == pytest.approx((1 + 0.5 + 0 + 1) / 4)


def test_without_a_warm_up_the_constant_part_is_estimated_at_the_rate_of_the_pages() -> None:
    readings = _planted(1.0, 0.02, 30, seed=1)
    readings.warm_ups.clear()
    assert readings.constant_tokens == pytest.approx(2400 / 1.3, rel=0.01)
    assert PrefixReadings(2400).constant_tokens == 2400


def test_counts_without_cached_tokens_are_not_taken_for_counts_with_them() -> None:
    readings = PrefixReadings(2400)
    readings.warm_ups.append(Reading(CONSTANT, 1.8))
    readings.pages.extend(Reading(tokens, tokens * 1e-3) for tokens in range(300, 1500, 50))
    assert readings.reused() is None


READINGS = st.builds(
    Reading,
    st.none() | st.integers(0, 10**6),
    st.none() | st.floats(0, 1e6),
    st.none() | st.integers(0, 10**6),
    st.none() | st.integers(0, 10**6),
)


@given(st.integers(0, 10**5), st.lists(READINGS, max_size=12), st.lists(READINGS, max_size=3))
def test_any_figures_give_a_share_or_none(
    constant: int, pages: list[Reading], warm_ups: list[Reading]
) -> None:
    readings = PrefixReadings(constant, warm_ups=warm_ups)
    readings.pages.extend(pages)
    share = readings.reused()
    assert share is None or 0.0 <= share <= 1.0
