"""benchmarks/simulation against what queueing theory knows, and against itself."""

import itertools
import math
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.simulation.events import Desk, Events
from benchmarks.simulation.inputs import GPUS
from benchmarks.simulation.pipeline import Client, Failure, simulate
from benchmarks.simulation.scaling import Share, input_lines, limit_lines, shares, store_lines, time_lines
from benchmarks.simulation.servers import Batch, ServerSpeed, Slots, Work
from preannotation_assets.simulator.openai.settings import BatchTimes
from preannotation_assets.simulator.settings import TimeModel

# A token is written in 10 ms whatever else is written, and reading takes no time to speak of.
EVEN = TimeModel(prefill_rate=1e9, decode_rate=100.0, slowdown_per_slot=0.0)
SECOND = Work(constant=0, text=1, answer=100)
STEPS = BatchTimes(base_seconds=0.06, sequence_seconds=0.000_625, saturation=64, prefill_rate=1e9)


def waits(slots: int, utilisation: float, arrivals: int = 15_000) -> float:
    """The mean wait for a slot, in service times, of arrivals at random moments."""
    events, chance = Events(), random.Random(7)
    server = Slots(EVEN, slots).server(events)
    waited: list[float] = []

    def arrive() -> None:
        arrived = events.now
        server.submit(SECOND, lambda: waited.append(events.now - arrived), lambda: None)

    moment = 0.0
    for _ in range(arrivals):
        moment += chance.expovariate(utilisation * slots)
        events.after(moment, arrive)
    events.run()
    return sum(waited) / arrivals


def erlang_wait(slots: int, utilisation: float) -> float:
    """The mean wait of M/M/c in service times (Erlang's C)."""
    offered = utilisation * slots
    last = offered**slots / math.factorial(slots) / (1 - utilisation)
    none = sum(offered**number / math.factorial(number) for number in range(slots))
    return last / (none + last) / (slots * (1 - utilisation))


def uneven(count: int, seed: int = 1) -> list[Work]:
    chance = random.Random(seed)
    return [Work(0, 1, 1 + int(chance.expovariate(1 / 60))) for _ in range(count)]


@pytest.mark.parametrize("utilisation", [0.5, 0.8])
def test_one_slot_has_the_wait_of_pollaczek_and_khinchine(utilisation: float) -> None:
    assert waits(1, utilisation) == pytest.approx(utilisation / (2 * (1 - utilisation)), rel=0.08)


@pytest.mark.parametrize("slots", [2, 4])
def test_even_requests_wait_between_half_of_erlangs_wait_and_all_of_it(slots: int) -> None:
    most = erlang_wait(slots, 0.8)
    assert 0.5 * most < waits(slots, 0.8) < most


@pytest.mark.parametrize(("slots", "requests"), [(1, 5), (4, 40), (4, 41)])
def test_equal_requests_that_are_all_there_take_as_many_rounds_as_fill_the_slots(
    slots: int, requests: int
) -> None:
    outcome = simulate([Slots(EVEN, slots)], [SECOND] * requests, Client(slots, least=slots))
    assert outcome.seconds == pytest.approx(math.ceil(requests / slots))
    assert outcome.requests == outcome.answered == requests


def test_a_slot_reads_what_all_prompts_begin_with_once() -> None:
    times = TimeModel(prefill_rate=100.0, decode_rate=100.0, slowdown_per_slot=0.0)
    works = [Work(constant=1_000, text=100, answer=100)] * 3
    assert simulate([Slots(times, 1)], works, Client(1)).seconds == pytest.approx(10 + 3 * (1 + 1))


def test_busy_slots_slow_each_other_down() -> None:
    times = TimeModel(prefill_rate=1e9, decode_rate=100.0, slowdown_per_slot=0.5)
    works = [Work(0, 1, 100), Work(0, 1, 200)]
    # Both at 100 / 1.5 tokens a second until the first is done, then the other alone.
    assert simulate([Slots(times, 2)], works, Client(2)).seconds == pytest.approx(1.5 + 1.0)


def test_a_full_batch_writes_what_its_time_model_says() -> None:
    works = [Work(0, 1, 50)] * 640
    outcome = simulate([Batch(STEPS, 64)], works, Client(128, least=128))
    # The first one has a step to itself before the others join; the last step is without it.
    assert outcome.seconds == pytest.approx(10 * 50 * 0.1 + 0.06)


def test_more_in_a_batch_than_saturates_it_bring_no_more_tokens() -> None:
    works = [Work(0, 1, 50)] * 1_280
    double = simulate([Batch(STEPS, 128)], works, Client(256, least=256))
    assert double.seconds == pytest.approx(20 * 50 * 0.1, rel=2e-3)


def test_a_text_that_comes_while_others_are_written_joins_at_the_next_step() -> None:
    events = Events()
    server = Batch(BatchTimes(1.0, 0.0, 64, 1e9), 64).server(events)
    ends: list[float] = []
    server.submit(Work(0, 1, 10), lambda: None, lambda: ends.append(events.now))
    events.after(4.5, lambda: server.submit(Work(0, 1, 2), lambda: None, lambda: ends.append(events.now)))
    events.run()
    assert ends == pytest.approx([7.0, 10.0])


def test_reading_holds_up_a_batch_and_the_constant_part_is_read_once() -> None:
    times = BatchTimes(base_seconds=0.1, sequence_seconds=0.0, saturation=64, prefill_rate=100.0)
    works = [Work(constant=1_000, text=100, answer=1)] * 2
    outcome = simulate([Batch(times, 1)], works, Client(1))
    assert outcome.seconds == pytest.approx(11.1 + 1.1)


@pytest.mark.parametrize("speed", [Slots(TimeModel(decode_rate=60.0), 4), Batch(STEPS, 16)])
def test_no_work_is_lost_and_littles_law_holds(speed: ServerSpeed) -> None:
    works = uneven(400)
    outcome = simulate([speed], works, Client(24, gap_seconds=0.02))
    assert outcome.answered == outcome.requests == len(works)
    assert outcome.in_flight_seconds == pytest.approx(outcome.latency_seconds)
    assert outcome.most_in_flight <= 24


def test_slots_are_never_idle_while_something_waits() -> None:
    works = uneven(300)
    outcome = simulate([Slots(EVEN, 4)], works, Client(8))
    least = sum(work.answer for work in works) / 400
    assert least <= outcome.seconds <= least + max(work.answer for work in works) / 100


def test_of_two_servers_the_quicker_one_is_given_more() -> None:
    half = TimeModel(prefill_rate=1e9, decode_rate=50.0, slowdown_per_slot=0.0)
    outcome = simulate([Slots(EVEN, 4), Slots(half, 4)], [SECOND] * 300, Client(4))
    assert outcome.by_server["http://0"] == pytest.approx(200, abs=4)
    assert outcome.seconds == pytest.approx(50, rel=0.05)


def every(number: int, failure: Failure) -> Callable[[int], Failure | None]:
    return lambda request: failure if request % number == 0 else None


def test_a_refused_request_is_made_again() -> None:
    outcome = simulate([Slots(EVEN, 4)], [SECOND] * 100, Client(4), every(10, Failure.REFUSED))
    assert outcome.answered == 100
    assert outcome.requests == 100 + outcome.ended[Failure.REFUSED]


def test_a_text_that_nobody_serves_fails_after_six_attempts() -> None:
    outcome = simulate([Slots(EVEN, 4)], [SECOND] * 3, Client(4), every(1, Failure.REFUSED))
    assert (outcome.answered, outcome.failed, outcome.requests) == (0, 3, 18)


def test_an_answer_that_is_none_is_asked_for_once_more_and_then_in_halves() -> None:
    outcome = simulate(
        [Slots(EVEN, 1)], [SECOND], Client(1), lambda number: Failure.UNUSABLE if number <= 2 else None
    )
    assert (outcome.requests, outcome.answered) == (4, 2)
    assert outcome.seconds == pytest.approx(1 + 1 + 0.5 + 0.5)


def test_one_driver_bounds_what_any_number_of_servers_do() -> None:
    speeds: Sequence[ServerSpeed] = [Batch(STEPS, 64)] * 8
    works = [Work(0, 1, 10)] * 3_000
    free = simulate(speeds, works, Client(64)).rate(0.3, 0.7)
    bound = simulate(speeds, works, Client(64, driver_seconds=0.01)).rate(0.3, 0.7)
    assert free > 200
    assert bound == pytest.approx(100, rel=0.01)


def test_a_desk_serves_in_order_with_all_its_places() -> None:
    events = Events()
    desk = Desk(events, 2, 1.0)
    served: list[tuple[int, float]] = []
    for number in range(5):
        desk.pass_through(lambda number=number: served.append((number, events.now)))
    events.run()
    assert served == [(0, 1.0), (1, 1.0), (2, 2.0), (3, 2.0), (4, 3.0)]


def test_the_same_seed_gives_the_same_run() -> None:
    def once(seed: int) -> Sequence[float]:
        faults = every(7, Failure.REFUSED)
        return simulate([Batch(STEPS, 16)], uneven(200), Client(32), faults, seed).answered_at

    assert once(3) == once(3)
    assert once(3) != once(4)
    assert all(before <= after for before, after in pairwise(once(3)))


def test_the_page_has_the_tables_of_todays_numbers() -> None:
    page = (Path(__file__).parents[1] / "docs" / "scaling.md").read_text("utf-8").splitlines()
    missing = [line for line in (*input_lines(), *limit_lines()) if line not in page]
    assert missing == []


def test_the_page_has_the_rate_of_todays_limit() -> None:
    page = (Path(__file__).parents[1] / "docs" / "scaling.md").read_text("utf-8").splitlines()
    one = shares(GPUS[-1], 1)
    lines = [*time_lines(one), *store_lines(one)]
    assert [line for line in lines if line not in page] == []


def test_what_follows_from_a_rate_of_the_page_is_on_the_page() -> None:
    """Hours, dollars, objects: of all servers, also of those that nothing is simulated of here."""
    page = (Path(__file__).parents[1] / "docs" / "scaling.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page if line.startswith("|")]
    for gpu, count in itertools.product(GPUS, (1, 8, 64)):
        ((_, rate, *_),) = (row for row in rows if row[0] == f"{count} x {gpu.name}" and len(row) == 8)
        # To the digits that the page has of it.
        one = [Share(gpu, count, pages, float(rate.replace(",", ""))) for pages in (10**7, 10**9)]
        assert [line for line in (*time_lines(one), *store_lines(one)) if line not in page] == []
