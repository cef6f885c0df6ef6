from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_marks import LABELS, marks, suggested

from preannotation_assets.errors import SettingsError
from preannotation_assets.evaluation.actions import (
    ADDED,
    ActionCosts,
    Fate,
    PageActions,
    actions_saved,
    infer_actions,
)
from preannotation_assets.evaluation.pages import SuggestedSpan, place_of
from preannotation_assets.extraction.segments import Mark

ROOM = 20


def planted(seed: int, rooms: int) -> tuple[list[Mark], list[SuggestedSpan], Counter[str]]:
    """Suggestions far from each other, an expert who does something known to each, and what was done."""
    random = Random(seed)
    gold: list[Mark] = []
    suggestions: list[SuggestedSpan] = []
    done: Counter[str] = Counter()
    for room in range(rooms):
        start = room * ROOM + random.randrange(5)
        end, label = start + random.randrange(4, 10), random.choice(LABELS)
        other = random.choice([each for each in LABELS if each != label])
        deed = random.choice([*Fate, ADDED])
        done[deed] += 1
        if deed != ADDED:
            suggestions.append(SuggestedSpan(start, end, label, 0.5))
        match deed:
            case Fate.KEPT | "added":
                gold.append(Mark(start, end, label))
            case Fate.BORDER_MOVED:
                gold.append(Mark(start + random.choice([0, 1]), end + 1, label))
            case Fate.LABEL_CHANGED:
                gold.append(Mark(start, end, other))
            case Fate.BOTH_CHANGED:
                gold.append(Mark(start + 2, end + random.choice([-1, 3]), other))
    random.shuffle(gold)
    random.shuffle(suggestions)
    return gold, suggestions, done


@given(st.integers(0, 10**6), st.integers(0, 40))
def test_what_a_planted_expert_did_is_found_in_full(seed: int, rooms: int) -> None:
    gold, suggestions, done = planted(seed, rooms)
    assert infer_actions(gold, suggestions).counts == done


@given(marks(6), marks(6))
def test_every_suggestion_has_a_fate_and_every_gold_span_a_source(
    gold: list[Mark], proposed: list[Mark]
) -> None:
    found = infer_actions(gold, suggested(*proposed))
    assert Counter(place_of(each.suggestion) for each in found.decisions) == Counter(map(place_of, proposed))
    sources = [each.gold for each in found.decisions if each.gold is not None]
    assert Counter(map(place_of, [*sources, *found.added])) == Counter(map(place_of, gold))
    assert all((each.gold is None) == (each.fate is Fate.DELETED) for each in found.decisions)


@given(marks(6), marks(6))
def test_what_is_kept_is_exactly_what_is_equal(gold: list[Mark], proposed: list[Mark]) -> None:
    equal = Counter(map(place_of, gold)) & Counter(map(place_of, proposed))
    assert infer_actions(gold, suggested(*proposed)).counts[Fate.KEPT] == equal.total()


def test_the_equal_suggestion_is_kept_and_the_other_one_deleted() -> None:
    """Not the first on the page: it is the second that the expert left alone."""
    found = infer_actions(
        [Mark(3, 9, "port")], suggested(Mark(0, 8, "port"), Mark(3, 9, "port"), Mark(4, 9, "owner"))
    )
    assert [each.fate for each in found.decisions] == [Fate.DELETED, Fate.KEPT, Fate.DELETED]


def test_the_decisions_carry_the_confidence_that_was_published() -> None:
    found = infer_actions([], [SuggestedSpan(0, 3, "port", 0.25), SuggestedSpan(4, 6, "port", None)])
    assert [each.suggestion.confidence for each in found.decisions] == [0.25, None]


def test_the_cost_of_each_action() -> None:
    costs = ActionCosts(add=32, delete=16, change_label=8, redraw=4, keep=1)
    every = {Fate.KEPT: 1, Fate.DELETED: 1, Fate.LABEL_CHANGED: 1, Fate.BORDER_MOVED: 1, ADDED: 1}
    assert costs.total(every) == 32 + 16 + 8 + 4 + 1
    assert costs.total({Fate.BOTH_CHANGED: 3}) == 12
    assert costs.from_nothing(5) == 160


def test_the_share_of_actions_that_is_saved() -> None:
    costs = ActionCosts()

    def saved(page: PageActions, gold: int) -> float | None:
        return actions_saved(costs.total(page.counts), costs.from_nothing(gold))

    five = [Mark(10 * place, 10 * place + 4, "port") for place in range(5)]
    assert saved(infer_actions(five, suggested(*five)), 5) == 1.0
    assert saved(infer_actions(five, ()), 5) == 0.0
    # Four kept, one added, one deleted: 3 of 10.
    assert saved(infer_actions(five, suggested(*five[:4], Mark(90, 92, "port"))), 5) == pytest.approx(0.7)
    assert saved(infer_actions(five[:1], suggested(*five[1:])), 1) == -2.0
    assert saved(infer_actions([], suggested(*five)), 0) is None


def test_costs_are_read_from_a_setting() -> None:
    assert ActionCosts.parse("") == ActionCosts()
    assert ActionCosts.parse(" add=3, delete = 0.5 ,") == ActionCosts(add=3, delete=0.5)


@pytest.mark.parametrize(
    "text", ["add", "add=", "add=x", "add=-1", "add=nan", "add=inf", "sell=1", "add=1,add=2"]
)
def test_costs_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="add, delete, change_label, redraw, keep"):
        ActionCosts.parse(text)
