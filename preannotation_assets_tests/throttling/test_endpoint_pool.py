"""Where requests go, and how many: the cap, rests, probes and what backing off does."""

import heapq
import random
from dataclasses import dataclass, field
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.throttling.endpoint_pool import EndpointPool, Feedback

A, B = "http://a", "http://b"
OK = Feedback(available=True, latency=1.0, queue=0.0)
DOWN = Feedback(available=False)
BUSY = Feedback(available=False, overloaded=True)


def _fill(pool: EndpointPool, now: float) -> list[str]:
    taken = []
    while (endpoint := pool.acquire(now)) is not None:
        taken.append(endpoint)
    return taken


def test_requests_go_where_fewest_are_and_never_above_the_cap() -> None:
    pool = EndpointPool([A, B], 3)
    assert sorted(_fill(pool, 0.0)) == [A] * 3 + [B] * 3
    pool.release(B)
    assert pool.acquire(0.0) == B
    assert pool.acquire(0.0) is None


def test_of_equals_the_quicker_endpoint_is_first() -> None:
    pool = EndpointPool([A, B], 2)
    pool.record(A, Feedback(available=True, latency=2.0), 0.0)
    pool.record(B, Feedback(available=True, latency=0.5), 0.0)
    assert pool.acquire(0.0) == B


def test_an_endpoint_that_fails_rests_is_probed_by_one_request_and_comes_back() -> None:
    pool = EndpointPool([A], 4)
    for _ in range(3):
        pool.record(A, DOWN, 100.0)
    assert _fill(pool, 101.9) == []
    assert pool.next_return(101.0) == 1.0
    assert _fill(pool, 102.1) == [A]
    pool.release(A)
    pool.record(A, DOWN, 103.0)
    assert _fill(pool, 106.9) == []
    assert _fill(pool, 107.1) == [A]
    pool.release(A)
    pool.record(A, OK, 108.0)
    assert len(_fill(pool, 108.0)) == 4
    assert pool.next_return(108.0) is None


def test_rests_grow_but_end() -> None:
    pool, now, rests = EndpointPool([A], 4), 0.0, []
    for _ in range(10):
        pool.record(A, DOWN, now)
        rests.append(pool.next_return(now) or 0.0)
        now += rests[-1]
    assert rests == [0.0, 0.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert _fill(pool, now) == [A]


def test_hundreds_that_fail_with_one_engine_are_one_failure() -> None:
    pool = EndpointPool([A], 256)
    for number in range(256):
        pool.record(A, DOWN, 100.0 + number / 256)
    assert pool.next_return(101.0) == pytest.approx(1.0, abs=0.1)
    assert pool.states(1_000.0)[A].rests == 1


def test_retry_after_keeps_everybody_away_until_then() -> None:
    pool = EndpointPool([A, B], 2)
    pool.record(A, Feedback(available=False, overloaded=True, retry_after=30.0), 10.0)
    assert _fill(pool, 39.0) == [B, B]
    assert _fill(pool, 40.5)[0] == A


@pytest.mark.parametrize("wish", [3_601.0, 999_999.0, 251_606_333_390.0, float("inf")])
def test_a_wish_to_be_left_alone_for_ever_is_granted_for_an_hour(wish: float) -> None:
    pool = EndpointPool([A], 2)
    pool.record(A, Feedback(available=False, overloaded=True, retry_after=wish), 10.0)
    assert pool.states(130.0)[A].wished_wait == 3_480.0
    assert _fill(pool, 3_609.0) == []
    assert pool.next_return(3_609.0) == 1.0
    assert _fill(pool, 3_610.5)
    assert pool.states(3_610.5)[A].wished_wait == 0.0


def test_a_rest_of_our_own_is_no_wish_of_the_server() -> None:
    pool = EndpointPool([A], 2)
    for _ in range(3):
        pool.record(A, DOWN, 100.0)
    assert pool.next_return(100.5) == 1.5
    assert pool.states(100.5)[A].wished_wait == 0.0


@pytest.mark.parametrize("cap", [2, 8, 16])
def test_refusals_for_load_halve_the_limit_once_for_requests_sent_together_and_it_recovers(cap: int) -> None:
    pool = EndpointPool([A], cap)
    pool.record(A, OK, 100.0)
    for _ in range(2):
        pool.record(A, BUSY, 200.0)
    assert pool.states(1_000.0)[A].limit == cap // 2
    for second in range(2 + cap * cap):
        pool.record(A, OK, 201.0 + second)
    state = pool.states(1_000.0)[A]
    assert (state.limit, state.lowest_limit) == (cap, cap // 2)


@dataclass
class Server:
    """A server with slots and a queue, on a clock of its own, that is kept full by a pool.

    ``busy`` is the share of its slots' time that was used since ``reset``.
    """

    pool: EndpointPool
    slots: int
    chance: random.Random
    now: float = 100.0
    limits: list[int] = field(default_factory=list)
    _free_at: list[float] = field(default_factory=list)
    _ends: list[tuple[float, float, float]] = field(default_factory=list)

    def answer(self, requests: int) -> float:
        """Lets so many requests end; returns the share of the time that slots were busy."""
        began, busy = self.now, 0.0
        self.limits = []
        for _ in range(requests):
            while self.pool.acquire(self.now):
                busy += self._take()
            ended, sent, queued = heapq.heappop(self._ends)
            self.now = ended
            self.pool.release(A)
            self.pool.record(A, Feedback(available=True, latency=ended - sent, queue=queued), ended)
            self.limits.append(self.pool.states(self.now)[A].limit)
        return busy / (self.slots * (self.now - began))

    def change_slots(self, slots: int) -> None:
        self.slots, self._free_at = slots, []

    def _take(self) -> float:
        self._free_at = sorted([*self._free_at, *[0.0] * (self.slots - len(self._free_at))])
        begins = max(self.now, self._free_at[0])
        seconds = self.chance.lognormvariate(0.0, 0.7)
        self._free_at[0] = begins + seconds
        heapq.heappush(self._ends, (begins + seconds, self.now, begins - self.now))
        return seconds


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("slots", [1, 2, 3, 5])
def test_with_fewer_slots_than_the_cap_about_one_request_waits_and_the_slots_stay_busy(
    slots: int, seed: int
) -> None:
    server = Server(EndpointPool([A], 8), slots, random.Random(seed))
    server.answer(40)
    assert server.answer(400) > 0.95
    assert max(server.limits) <= slots + 3
    assert abs(mean(server.limits) - (slots + 1)) < 0.7


@pytest.mark.parametrize("seed", range(5))
def test_the_limit_follows_slots_that_come_and_go(seed: int) -> None:
    server = Server(EndpointPool([A], 8), 2, random.Random(seed))
    server.answer(200)
    server.change_slots(8)
    server.answer(150)
    server.answer(200)
    assert mean(server.limits) > 7
    server.change_slots(1)
    server.answer(100)
    server.answer(200)
    assert mean(server.limits) < 3


def test_the_servers_own_work_on_a_request_is_not_taken_for_waiting() -> None:
    pool = EndpointPool([A], 64)
    for step in range(2_000):
        _fill(pool, float(step))
        pool.release(A)
        pool.record(A, Feedback(available=True, latency=1.0, queue=0.1), float(step))
    assert pool.states(1_000.0)[A].limit == 64


def test_a_refusal_counts_at_the_cap_too() -> None:
    pool = EndpointPool([A], 8)
    for step in range(100):
        pool.record(A, OK, 0.1 * step)
    pool.record(A, BUSY, 10.0)
    assert pool.states(1_000.0)[A].limit == 4


def test_the_limit_stays_at_the_cap_as_long_as_nothing_waits() -> None:
    pool = EndpointPool([A], 4)
    for step in range(100):
        pool.record(A, OK, float(step))
    state = pool.states(1_000.0)[A]
    assert (state.limit, state.lowest_limit, state.rests) == (4, 4, 0)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["acquire", "release", "record"]),
        st.builds(
            Feedback,
            available=st.booleans(),
            overloaded=st.booleans(),
            retry_after=st.none() | st.floats(0, 100),
            latency=st.none() | st.floats(0, 100),
            queue=st.none() | st.floats(0, 200),
        ),
        st.floats(0, 5),
    ),
    max_size=60,
)


@given(events=EVENTS, cap=st.integers(1, 5), least=st.integers(1, 7))
def test_whatever_happens_the_cap_holds_and_work_can_go_on(
    events: list[tuple[str, Feedback, float]], cap: int, least: int
) -> None:
    pool = EndpointPool([A, B], cap, least)
    now, out = 0.0, []
    for action, feedback, seconds in events:
        now += seconds
        if action == "acquire" and (endpoint := pool.acquire(now)):
            out.append(endpoint)
        elif action == "release" and out:
            pool.release(out.pop())
        elif action == "record":
            pool.record(A, feedback, now)
        for address, state in pool.states(now).items():
            assert state.in_flight == out.count(address) <= cap
            assert min(least, cap) <= state.limit <= cap
    for endpoint in out:
        pool.release(endpoint)
    assert {A, B} <= set(_fill(pool, now + 4000.0))


def test_an_outage_is_known_by_its_length_and_the_next_try() -> None:
    pool = EndpointPool([A], 4)
    for now in (10.0, 11.0):
        pool.record(A, Feedback(available=False), now)
    assert pool.states(11.0)[A].failing_seconds == 0.0
    pool.record(A, Feedback(available=False), 12.0)
    state = pool.states(13.0)[A]
    assert (state.failing_seconds, state.next_try_seconds, state.is_overloaded) == (3.0, 1.0, False)
    pool.record(A, Feedback(available=False, overloaded=True), 20.0)
    assert pool.states(20.0)[A].is_overloaded
    pool.record(A, Feedback(available=True), 30.0)
    assert pool.states(31.0)[A].failing_seconds == 0.0
