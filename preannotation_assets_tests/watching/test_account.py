"""The line of a tick says which datasets are not published, and why."""

from preannotation_assets.watching.account import tell
from preannotation_assets.watching.memory import Memory
from preannotation_assets.watching.watch import RetryPlan, State, Watch, state_of

NOON = 1_800_014_400.0  # 2027-01-15 12:00 UTC
PLAN = RetryPlan(still_seconds=600.0, most_attempts=3)


def _tell(watches: dict[str, Watch], busy: str = "") -> str:
    states = {name: state_of(watch, PLAN, NOON, is_busy=name == busy) for name, watch in watches.items()}
    return tell(watches, states, PLAN)


def test_each_that_is_not_published_is_named_with_its_reason() -> None:
    said = _tell(
        {
            "loading": Watch("f", NOON - 60.0),
            "failed": Watch("f", NOON - 9000.0, None, 2, NOON - 60.0),
            "hopeless": Watch("f", NOON - 9000.0, None, 3, NOON - 60.0),
            "good": Watch("f", NOON - 9000.0, "f"),
            "busy": Watch("f", NOON - 9000.0, "e", 1, NOON - 60.0),
        },
        busy="busy",
    )
    assert said == (
        "5 datasets: 1 published, 1 in work, 1 still being loaded, 1 waiting for the next attempt, "
        "1 given up; "
        "busy (in work after 1 run(s) that published nothing), "
        "failed (next run at 12:03 UTC after 2 run(s) that published nothing), "
        "hopeless (given up after 3 run(s) that published nothing: start it by hand, or wait until its pages "
        "change), "
        "loading (changed; still until 12:09 UTC)"
    )


def test_where_all_is_published_nothing_more_is_said() -> None:
    assert _tell({"a": Watch("f", 0.0, "f"), "b": Watch("g", 0.0, "g")}) == "2 datasets: 2 published"


def test_a_warehouse_without_datasets_points_at_the_pattern() -> None:
    assert "PREANNOTATION_DATASET_PATTERN" in _tell({})


def test_many_are_counted_and_ten_are_named() -> None:
    said = _tell({f"d{number}": Watch("f", NOON) for number in range(25)})
    assert said.startswith("25 datasets: 25 still being loaded; ")
    assert said.count(" (changed") == 10
    assert said.endswith(" and 15 more")


def test_what_is_remembered_survives_the_cursor() -> None:
    memory = Memory({"d": Watch("f", 1.5, "e", 2, 3.5), "e": Watch("f", 1.0)}, ("é",), "7", 12.25)
    assert Memory.read(memory.write()) == memory


def test_of_a_cursor_of_another_kind_nothing_is_remembered() -> None:
    for text in (None, "", "no JSON", '{"vessels_ocr_1": "8-1-2"}', '{"version": 1, "memory": {}}'):
        assert Memory.read(text) == Memory()


def test_states_are_told_in_the_words_of_the_list() -> None:
    assert State.GIVEN_UP == "given up"
