"""The limit against servers with continuous batching: where it ends, and what it never does."""

import random
from collections.abc import Callable
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_servers import (
    Batching,
    BatchRun,
    Client,
    Request,
    hard_knee,
    run_batch,
    soft_knee,
    thrashing,
    unequal_requests,
)

from preannotation_assets.throttling.adaptive_limit import AdaptiveLimit, Answer
from preannotation_assets.throttling.endpoint_pool import EndpointPool

A, B = "http://a", "http://b"
MOST = 512


def run(server: Batching, count: int = 3_000, seed: int = 0) -> BatchRun:
    return run_batch(EndpointPool([A], MOST), {A: server}, unequal_requests(count, seed), seed)


def share_of_the_best(server: Batching, limits: list[tuple[float, int]]) -> float:
    """Throughput with the limits of the last third, of the best that the server has with any number."""
    last = limits[len(limits) * 2 // 3 :]
    done = sum(
        (until - since) * server.capacity(limit, since) for (since, limit), (until, _) in pairwise(last)
    )
    best = max(server.capacity(number, last[0][0]) for number in range(1, MOST + 1))
    return done / (best * (last[-1][0] - last[0][0]))


@pytest.mark.parametrize("told", ["nothing", "queue", "load", "no_tokens"])
@pytest.mark.parametrize("slots", [8, 64, 256])
def test_it_ends_within_3_percent_of_the_best_number(slots: int, told: str) -> None:
    server = Batching(
        slots,
        hard_knee(slots, slowdown=0.5),
        tells_queue=told == "queue",
        tells_load=told == "load",
        tells_tokens=told != "no_tokens",
    )
    limits = run(server, 4_000).limits[A]
    assert share_of_the_best(server, limits) > 0.97
    if told in {"queue", "load"}:
        assert 0.8 * slots <= limits[-1][1] <= 1.25 * slots + 2


def last_third(batch: BatchRun, in_flight: int) -> float:
    """Tokens a second of the server then, without the end, when less is left than may be in flight."""
    tokens = batch.tokens[A][: -1 - in_flight]
    (since, before), (until, after) = tokens[len(tokens) * 2 // 3], tokens[-1]
    return (after - before) / (until - since)


# A client's event loop that is late with answers which end together, reports after permits, pauses to write.
SLOW_CLIENT = Client(turn=0.02, work=0.004, report=0.01, pause=0.2)


@pytest.mark.parametrize("answers", ["unequal", "equal", "short"])
@pytest.mark.parametrize("tells_load", [False, True])
@pytest.mark.parametrize(("slots", "step"), [(8, 0.02), (64, 0.05), (256, 0.16)])
def test_neither_the_steps_of_a_server_nor_a_slow_client_mislead_it(
    slots: int, step: float, tells_load: bool, answers: str
) -> None:
    requests = {
        "unequal": unequal_requests(4_000, 7, mean_answer=40),
        "equal": [Request(1_000, 30)] * 4_000,
        "short": unequal_requests(4_000, 7, mean_answer=12),
    }[answers]

    def ask(least: int, most: int) -> BatchRun:
        noise = 0.0 if answers == "equal" else 0.1
        together = hard_knee(slots, rate=1.5 / step, slowdown=0.5)
        server = Batching(slots, together, tells_load=tells_load, has_steps=True, noise=noise)
        return run_batch(EndpointPool([A], most, least), {A: server}, requests, 7, SLOW_CLIENT)

    best = max(last_third(ask(number, number), number) for number in (5 * slots // 4, 2 * slots))
    found = ask(1, MOST)
    assert last_third(found, found.limits[A][-1][1]) > 0.97 * best


@pytest.mark.parametrize("half", [8, 64])
def test_where_more_always_bring_a_little_more_it_ends_where_it_is_little(half: int) -> None:
    server = Batching(1024, soft_knee(half))
    assert share_of_the_best(server, run(server, 5_000).limits[A]) > 0.9


@pytest.mark.parametrize("tells_load", [False, True])
def test_an_empty_queue_alone_does_not_make_it_rise(tells_load: bool) -> None:
    server = Batching(1024, lambda running: 20.0 * min(running, 16), tells_load=tells_load)
    limits = run(server, 4_000).limits[A]
    assert share_of_the_best(server, limits) > 0.97
    assert limits[-1][1] < 40


@pytest.mark.parametrize("room", [8, 64])
def test_where_too_many_push_each_other_out_it_comes_back(room: int) -> None:
    server = Batching(1024, thrashing(room))
    assert share_of_the_best(server, run(server, 4_000).limits[A]) > 0.9


def test_it_follows_slots_that_become_more_and_fewer() -> None:
    server = Batching(64, hard_knee(64), tells_load=True, slots_from={150.0: 16, 600.0: 64})
    limits = run(server, 4_000).limits[A]

    def usual(since: float, until: float) -> float:
        return median(limit for at, limit in limits if since < at < until)

    assert usual(100, 150) == pytest.approx(65, abs=8)
    assert usual(400, 600) == pytest.approx(17, abs=4)
    assert usual(750, limits[-1][0]) == pytest.approx(65, abs=16)


@pytest.mark.parametrize(
    "load",
    [
        # 300 of others are always there, and 64 are worked on: what waits is as many as are sent.
        lambda ours: (64, 236 + ours),
        # Five wait whatever this run does, as behind a server's engine that is not ours.
        lambda ours: (ours, 5),
        # No queue at all.
        lambda ours: (0, 1_000),
    ],
)
def test_what_waits_for_others_does_not_leave_a_run_with_next_to_nothing(
    load: Callable[[int], tuple[int, int]],
) -> None:
    limit = AdaptiveLimit(1, MOST)
    for step in range(1_000):
        limit.observe_load(*load(limit.value), limit.value, 10.0 * step)
    assert limit.value >= 12


def test_each_of_two_servers_has_its_own() -> None:
    servers = {
        A: Batching(16, hard_knee(16), tells_load=True),
        B: Batching(128, hard_knee(128), tells_load=True),
    }
    batch = run_batch(EndpointPool([A, B], MOST), servers, unequal_requests(4_000, 1), 1)

    def usual(limits: list[tuple[float, int]]) -> float:
        return median(limit for _, limit in limits[len(limits) * 2 // 3 :])

    assert usual(batch.limits[A]) == pytest.approx(17, abs=3)
    assert usual(batch.limits[B]) == pytest.approx(129, abs=9)


def test_a_server_that_refuses_beyond_some_number_is_kept_busy_with_few_refusals() -> None:
    server = Batching(64, hard_knee(64), room=96)
    batch = run(server, 4_000)
    assert batch.refused < 40
    assert share_of_the_best(server, batch.limits[A]) > 0.9


class Refusing(Batching):
    """Refuses by a rule of its own: of the time, and of how many were sent before."""

    def __init__(self, refuses: Callable[[float, int], bool], tells_load: bool) -> None:
        super().__init__(64, hard_knee(64), tells_load=tells_load)
        self.refuses = refuses
        self.sent = 0

    def send(self, request: Request, now: float, granted: float, chance: random.Random) -> bool:
        self.sent += 1
        return not self.refuses(now, self.sent) and super().send(request, now, granted, chance)


@pytest.mark.parametrize("tells_load", [False, True])
def test_after_a_minute_of_refusals_it_comes_back(tells_load: bool) -> None:
    server = Refusing(lambda now, _: 60 < now < 120, tells_load)
    assert share_of_the_best(server, run(server, 4_000).limits[A]) > 0.9


@pytest.mark.parametrize("tells_load", [False, True])
def test_a_refusal_now_and_then_does_not_end_it_at_one(tells_load: bool) -> None:
    server = Refusing(lambda _, sent: sent % 200 == 0, tells_load)
    assert share_of_the_best(server, run(server, 4_000).limits[A]) > 0.4


def test_as_long_as_too_little_is_in_flight_nothing_is_learned() -> None:
    limit = AdaptiveLimit(1, MOST)
    for step in range(1_000):
        limit.observe(Answer(1.0, work=100.0), 4, float(step))
    assert limit.value == 16


def test_refusals_of_requests_sent_together_are_one_sign() -> None:
    limit = AdaptiveLimit(1, 16)
    limit.observe(Answer(2.0), 16, 100.0)
    for moment in (101.0, 101.5, 102.5):
        limit.halve(16, moment)
    assert limit.value == 8
    limit.halve(8, 103.5)
    assert limit.value == 4


@pytest.mark.parametrize("most", [4, 10, 40])
def test_what_is_tried_after_refusals_is_never_more_than_the_cap(most: int) -> None:
    limit = AdaptiveLimit(1, most)
    limit.halve(most - 1, 100.0)
    values = []
    for step in range(40 * most):
        limit.observe(Answer(1.0), limit.value, 101.0 + step)
        values.append(limit.value)
    assert max(values) == most


EVENTS = st.lists(
    st.one_of(
        st.tuples(
            st.just("answer"),
            st.builds(
                Answer,
                seconds=st.floats(0.001, 100),
                queued=st.none() | st.floats(0, 200),
                work=st.floats(0, 10_000),
            ),
        ),
        st.tuples(st.just("load"), st.tuples(st.integers(0, 2_000), st.integers(0, 2_000))),
        st.tuples(st.just("refused"), st.none()),
    ),
    max_size=200,
)


@given(events=EVENTS, least=st.integers(1, 20), more=st.integers(0, 600), seconds=st.floats(0, 20))
def test_whatever_is_told_the_limit_keeps_its_bounds(
    events: list[tuple[str, object]], least: int, more: int, seconds: float
) -> None:
    limit, now = AdaptiveLimit(least, least + more), 0.0
    for kind, event in events:
        now += seconds
        limit.note_in_flight(limit.value, now)
        if isinstance(event, Answer):
            limit.observe(event, limit.value, now)
        elif isinstance(event, tuple):
            limit.observe_load(*event, limit.value, now)
        else:
            before, changed = limit.value, limit
            changed.halve(limit.value, now)
            assert limit.value in {before, max(least, round(before / 2))}, kind
        assert least <= limit.lowest <= limit.value <= least + more
