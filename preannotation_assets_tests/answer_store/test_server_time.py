"""What of a server's time each request had, against a clock that ticks through it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.answer_store.server_time import shared_seconds

TICK = 0.25


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 12)), max_size=8))
def test_every_moment_is_shared_alike_by_the_requests_of_that_moment(requests: list[tuple[int, int]]) -> None:
    began = np.array([TICK * start for start, _ in requests])
    ended = np.array([TICK * (start + length) for start, length in requests])
    shares = [0.0] * len(requests)
    for tick in range(40):
        at_work = [place for place, (start, length) in enumerate(requests) if start <= tick < start + length]
        for place in at_work:
            shares[place] += TICK / len(at_work)
    np.testing.assert_allclose(shared_seconds(began, ended), shares, atol=1e-9)
