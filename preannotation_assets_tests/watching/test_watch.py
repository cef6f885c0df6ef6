"""What is in the warehouse gets published, whatever happens in between."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.warehouse import DatasetSummary
from preannotation_assets.watching.look import look_at
from preannotation_assets.watching.memory import Memory
from preannotation_assets.watching.watch import RetryPlan, State, state_of

AT_ONCE = RetryPlan(still_seconds=0.0)


@dataclass
class _World:
    """A warehouse, what is published of it, and the sensor's looks at it, one a minute."""

    plan: RetryPlan = AT_ONCE
    warehouse: dict[str, str] = field(default_factory=dict)
    published: dict[str, str] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    now: float = 1e9
    busy: set[str] = field(default_factory=set)
    looked_up: list[str] = field(default_factory=list)

    def probe(self) -> str:
        return str(len(self.warehouse))

    def list_datasets(self) -> list[DatasetSummary]:
        return [DatasetSummary(name, 1, text) for name, text in self.warehouse.items()]

    def look(self) -> list[str]:
        self.looked_up.clear()
        look = look_at(self, self.memory, self.plan, self.busy, self._look_up, self.now, listing_seconds=0.0)
        self.memory = Memory.read(look.memory.write())
        self.now += 60.0
        return look.requests

    def state(self, name: str) -> State:
        return state_of(self.memory.watches[name], self.plan, self.now, is_busy=name in self.busy)

    def run(self, name: str) -> None:
        self.published[name] = self.warehouse[name]

    def _look_up(self, name: str) -> str | None:
        self.looked_up.append(name)
        return self.published.get(name)


def test_there_and_back_again_fires_three_times() -> None:
    world = _World()
    for text in ("A", "B", "A"):
        world.warehouse["d"] = text
        assert world.look() == ["d"]
        world.run("d")
        assert world.look() == []
        assert world.state("d") is State.PUBLISHED


def test_what_changes_back_before_it_was_published_needs_no_run() -> None:
    world = _World(replace(AT_ONCE, still_seconds=300.0), {"d": "A"}, {"d": "A"})
    assert world.look() == []
    world.warehouse["d"] = "B"
    assert world.look() == []
    world.warehouse["d"] = "A"
    assert [world.look() for _ in range(10)] == [[]] * 10


def test_a_run_that_published_nothing_comes_again_later_and_later_and_is_given_up() -> None:
    plan = RetryPlan(still_seconds=0.0, first_wait_seconds=120.0, longest_wait_seconds=480.0, most_attempts=5)
    world = _World(plan, {"d": "A"})
    fired = [minute for minute in range(60) if world.look()]
    assert fired == [0, 2, 6, 14, 22]
    assert world.state("d") is State.GIVEN_UP
    world.warehouse["d"] = "B"
    assert world.look() == ["d"]


def test_what_a_person_published_meanwhile_is_seen_though_it_was_given_up() -> None:
    world = _World(replace(AT_ONCE, most_attempts=1), {"d": "A"})
    assert world.look() == ["d"]
    assert [world.look() for _ in range(100)] == [[]] * 100
    world.run("d")
    world.look()
    assert world.state("d") is State.PUBLISHED
    assert world.memory.watches["d"].attempts == 0


def test_a_dataset_that_is_being_loaded_is_left_alone_until_it_is_still() -> None:
    world = _World(RetryPlan(still_seconds=600.0), {"d": "0"})
    for batch in range(20):
        world.warehouse["d"] = str(batch)
        assert world.look() == []
        assert world.state("d") is State.LOADING
    assert [bool(world.look()) for _ in range(10)] == [False] * 9 + [True]


def test_nothing_is_asked_for_while_a_run_of_it_is_under_way() -> None:
    world = _World(AT_ONCE, {"d": "A"}, busy={"d"})
    assert world.look() == []
    assert world.state("d") is State.IN_WORK
    world.busy.clear()
    assert world.look() == ["d"]


def test_a_thousand_new_datasets_are_asked_for_a_few_a_look_and_all_of_them() -> None:
    world = _World(replace(AT_ONCE, most_requests=30), {f"d{number:04}": "A" for number in range(1000)})
    asked: list[str] = []
    while requests := world.look():
        assert len(requests) <= 30
        asked += requests
        for name in requests:
            world.run(name)
    assert asked == sorted(world.warehouse)


def test_those_that_fail_do_not_keep_others_waiting() -> None:
    world = _World(replace(AT_ONCE, most_requests=1, first_wait_seconds=0.0), {"bad": "A", "good": "A"})
    assert world.look() == ["bad"]
    assert world.look() == ["good"]


def test_a_dataset_that_is_gone_is_forgotten() -> None:
    world = _World(AT_ONCE, {"d": "A"})
    world.look()
    del world.warehouse["d"]
    assert world.look() == []
    assert world.memory.watches == {}


def test_what_is_taken_away_or_published_in_part_is_noticed_and_run() -> None:
    names = [f"d{number:02}" for number in range(20)]
    world = _World(AT_ONCE, dict.fromkeys(names, "A"), dict.fromkeys(names, "A"))
    assert world.look() == []
    del world.published["d07"]
    fired = []
    for _ in range(6):
        for name in world.look():
            fired.append(name)
            world.run(name)
    assert fired == ["d07"]


def test_no_look_reads_more_of_the_lake_than_its_share_and_all_come_their_turn() -> None:
    names = [f"d{number:04}" for number in range(1000)]
    world = _World(RetryPlan(still_seconds=600.0), dict.fromkeys(names, "A"), dict.fromkeys(names, "A"))
    seen: set[str] = set()
    for _ in range(10):
        assert world.look() == []
        assert len(world.looked_up) <= 100
        seen.update(world.looked_up)
    # All of them would have been due by now.
    assert len(seen) > 900
    assert [world.look() for _ in range(10)] == [[]] * 10
    assert {world.state(name) for name in names} == {State.PUBLISHED}


def test_nor_does_one_where_all_are_due_and_published_already() -> None:
    names = [f"d{number:03}" for number in range(250)]
    world = _World(AT_ONCE, dict.fromkeys(names, "A"), dict.fromkeys(names, "A"))
    looks = []
    for _ in range(3):
        assert world.look() == []
        looks.append(len(world.looked_up))
    assert looks[0] == 100
    assert max(looks) <= 100
    assert {world.state(name) for name in names} == {State.PUBLISHED}


def test_what_is_new_and_published_already_does_not_count_as_being_loaded() -> None:
    world = _World(RetryPlan(still_seconds=600.0), {"d": "A"}, {"d": "A"})
    world.look()
    assert world.state("d") is State.PUBLISHED


def test_a_clock_that_is_set_back_delays_nothing_by_the_difference() -> None:
    world = _World(AT_ONCE, {"d": "A"})
    world.look()
    world.now -= 1e6
    world.look()
    world.now += 120.0
    assert world.look() == ["d"]


@pytest.mark.parametrize("attempts", [1, 2, 7, 10_000])
def test_no_wait_is_longer_than_the_longest(attempts: int) -> None:
    assert 120.0 <= RetryPlan().wait_seconds(attempts) <= 3600.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["change", "fail", "gone", "reset"]))))
def test_whatever_happens_all_is_published_once_the_runs_get_through(events: list[tuple[str, str]]) -> None:
    world = _World(RetryPlan(still_seconds=120.0, longest_wait_seconds=300.0), dict.fromkeys("abc", "0"))
    for number, (name, event) in enumerate(events):
        match event:
            case "change":
                world.warehouse[name] = str(number % 3)
            case "gone":
                world.warehouse.pop(name, None)
            case "reset":
                world.memory = Memory()
            case _:
                pass
        world.look()
    for _ in range(20):
        for name in world.look():
            world.run(name)
    assert world.warehouse.items() <= world.published.items()
