"""A warm-up costs what the first page saves: it is worth it where a second page follows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.throttling.warm_ups import warm_ups_an_endpoint

COUNTS = st.integers(0, 2000)


@pytest.mark.parametrize(
    ("requests", "endpoints", "max_in_flight", "each_slot", "expected"),
    [
        (1, 1, 4, True, 0), (4, 1, 4, True, 0), (5, 1, 4, True, 1), (8, 1, 4, True, 4), (9000, 1, 4, True, 4),
        (16, 4, 4, True, 0), (30, 4, 4, True, 3), (1, 1, 64, False, 0), (2, 1, 64, False, 1),
        (3, 2, 64, False, 0), (9000, 2, 64, False, 1), (0, 1, 4, True, 0), (5, 1, 1, True, 1),
    ],
)  # fmt: skip
def test_only_slots_that_get_a_second_page_are_warmed_up(
    requests: int, endpoints: int, max_in_flight: int, each_slot: bool, expected: int
) -> None:
    assert warm_ups_an_endpoint(requests, endpoints, max_in_flight, each_slot=each_slot) == expected


@given(COUNTS, st.integers(1, 9), st.integers(1, 600), st.booleans())
def test_never_more_warm_ups_than_slots_or_pages(
    requests: int, endpoints: int, max_in_flight: int, each_slot: bool
) -> None:
    warm_ups = warm_ups_an_endpoint(requests, endpoints, max_in_flight, each_slot=each_slot)
    assert 0 <= warm_ups <= max_in_flight
    assert warm_ups * endpoints <= max(0, requests - 1)
