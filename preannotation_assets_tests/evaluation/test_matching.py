from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nervaluate.entities import Entity
from nervaluate.strategies import EntityTypeEvaluation, PartialEvaluation, StrictEvaluation
from random_marks import LABELS, marks

from preannotation_assets.evaluation.matching import (
    KindCounts,
    Scheme,
    count_kinds,
    pair_marks,
    shared_characters,
)
from preannotation_assets.evaluation.pages import place_of
from preannotation_assets.extraction.segments import Mark

Pairs = list[tuple[int, int]]


def all_pairings(gold: int, suggested: int) -> Iterator[Pairs]:
    """Every way to pair some of the one with some of the other."""
    for count in range(min(gold, suggested) + 1):
        for ones in combinations(range(gold), count):
            for others in permutations(range(suggested), count):
                yield list(zip(ones, others, strict=True))


def rank(gold: Mark, suggested: Mark) -> int:
    return 0 if gold.label == suggested.label else 1


def wish(gold: Mark, suggested: Mark) -> tuple[int, float]:
    length = gold.end - gold.start + suggested.end - suggested.start
    return rank(gold, suggested), -2 * shared_characters(gold, suggested) / length


def is_stable(pairs: Pairs, gold: Sequence[Mark], suggested: Sequence[Mark]) -> bool:
    """Whether no two overlapping marks would both rather be a pair than what they are."""
    of_gold, of_suggested = dict(pairs), {other: one for one, other in pairs}
    if any(not shared_characters(gold[one], suggested[other]) for one, other in pairs):
        return False
    for one, first in enumerate(gold):
        for other, second in enumerate(suggested):
            if not shared_characters(first, second):
                continue
            mine, theirs = of_gold.get(one), of_suggested.get(other)
            if (mine is None or wish(first, second) < wish(first, suggested[mine])) and (
                theirs is None or wish(first, second) < wish(gold[theirs], second)
            ):
                return False
    return True


def as_places(pairs: Pairs, gold: Sequence[Mark], suggested: Sequence[Mark]) -> Counter[object]:
    return Counter((place_of(gold[one]), place_of(suggested[other])) for one, other in pairs)


@given(marks(3), marks(3))
def test_no_two_marks_are_left_that_would_rather_be_a_pair(gold: list[Mark], suggested: list[Mark]) -> None:
    stable = [
        as_places(pairs, gold, suggested)
        for pairs in all_pairings(len(gold), len(suggested))
        if is_stable(pairs, gold, suggested)
    ]
    made = pair_marks(gold, suggested, rank)
    assert Counter((place_of(one), place_of(other)) for one, other in made.pairs) in stable


@given(marks(), marks(), st.sampled_from(Scheme), st.randoms(use_true_random=False))
def test_the_order_of_the_lists_decides_nothing(
    gold: list[Mark], suggested: list[Mark], scheme: Scheme, random: Random
) -> None:
    before = count_kinds(scheme, gold, suggested)
    random.shuffle(gold)
    random.shuffle(suggested)
    assert count_kinds(scheme, gold, suggested) == before


@given(marks(), marks(), st.sampled_from(Scheme))
def test_gold_and_suggestions_in_each_others_place(
    gold: list[Mark], suggested: list[Mark], scheme: Scheme
) -> None:
    counts, other = count_kinds(scheme, gold, suggested), count_kinds(scheme, suggested, gold)
    assert (counts.correct, counts.incorrect, counts.partial) == (
        other.correct,
        other.incorrect,
        other.partial,
    )
    assert (counts.missed, counts.spurious) == (other.spurious, other.missed)


@given(marks(), marks(), st.sampled_from(Scheme))
def test_every_mark_is_counted_once(gold: list[Mark], suggested: list[Mark], scheme: Scheme) -> None:
    counts = count_kinds(scheme, gold, suggested)
    assert (counts.possible, counts.actual) == (len(gold), len(suggested))


@given(marks(), marks())
def test_strict_finds_all_marks_that_are_equal(gold: list[Mark], suggested: list[Mark]) -> None:
    equal = Counter(map(place_of, gold)) & Counter(map(place_of, suggested))
    assert count_kinds(Scheme.STRICT, gold, suggested).correct == equal.total()


@given(marks(), st.sampled_from(Scheme))
def test_what_is_suggested_as_it_should_be_is_right_in_every_scheme(gold: list[Mark], scheme: Scheme) -> None:
    assert count_kinds(scheme, gold, list(reversed(gold))) == KindCounts(correct=len(gold))


def separate_pairs() -> st.SearchStrategy[list[tuple[Mark | None, Mark | None]]]:
    """A gold and a suggestion each in a stretch of its own, so that each overlaps one other at most."""
    room = 10

    @st.composite
    def in_room(draw: st.DrawFn) -> tuple[Mark | None, Mark | None]:
        return draw(st.none() | one()), draw(st.none() | one())

    @st.composite
    def one(draw: st.DrawFn) -> Mark:
        start = draw(st.integers(0, room - 2))
        return Mark(start, draw(st.integers(start + 1, room - 1)), draw(st.sampled_from(LABELS)))

    return st.lists(in_room(), max_size=5)


def placed(marks_in_rooms: Sequence[Mark | None]) -> list[Mark]:
    return [
        Mark(mark.start + 10 * room, mark.end + 10 * room, mark.label)
        for room, mark in enumerate(marks_in_rooms)
        if mark
    ]


def of_nervaluate(scheme: Scheme, gold: Sequence[Mark], suggested: Sequence[Mark]) -> KindCounts:
    """Its offsets have the last character, ours the one behind it."""
    strategies = {
        Scheme.STRICT: StrictEvaluation, Scheme.OVERLAP: PartialEvaluation, Scheme.TYPE: EntityTypeEvaluation
    }  # fmt: skip
    entities = [[Entity(mark.label, mark.start, mark.end - 1) for mark in side] for side in (gold, suggested)]
    result, _ = strategies[scheme]().evaluate(*entities, list(LABELS))
    return KindCounts(result.correct, result.incorrect, result.partial, result.missed, result.spurious)


@given(separate_pairs(), st.sampled_from(Scheme))
@example([(Mark(1, 4, "port"), Mark(1, 4, "owner")), (Mark(2, 5, "port"), Mark(4, 6, "port"))], Scheme.TYPE)
def test_where_marks_have_one_other_to_go_with_the_kinds_are_those_of_nervaluate(
    rooms: list[tuple[Mark | None, Mark | None]], scheme: Scheme
) -> None:
    gold, suggested = placed([one for one, _ in rooms]), placed([other for _, other in rooms])
    assert count_kinds(scheme, gold, suggested) == of_nervaluate(scheme, gold, suggested)


def test_nervaluate_lets_a_worse_suggestion_take_a_span_from_the_equal_one() -> None:
    """Why pairs are made here. Once this fails, its own counts may do."""
    gold, worse, equal = Mark(0, 10, "port"), Mark(0, 4, "owner"), Mark(0, 10, "port")
    assert of_nervaluate(Scheme.STRICT, [gold], [worse, equal]).correct == 0
    assert of_nervaluate(Scheme.STRICT, [gold], [equal, worse]).correct == 1
    assert count_kinds(Scheme.STRICT, [gold], [worse, equal]) == KindCounts(correct=1, spurious=1)


@pytest.mark.parametrize(
    ("scheme", "suggestion", "expected"),
    [
        (Scheme.STRICT, Mark(3, 9, "port"), KindCounts(incorrect=1)),
        (Scheme.STRICT, Mark(3, 8, "owner"), KindCounts(incorrect=1)),
        (Scheme.STRICT, Mark(8, 9, "port"), KindCounts(missed=1, spurious=1)),
        (Scheme.OVERLAP, Mark(3, 8, "owner"), KindCounts(correct=1)),
        (Scheme.OVERLAP, Mark(7, 9, "owner"), KindCounts(partial=1)),
        (Scheme.TYPE, Mark(7, 9, "port"), KindCounts(correct=1)),
        (Scheme.TYPE, Mark(3, 8, "owner"), KindCounts(incorrect=1)),
    ],
)
def test_what_each_scheme_takes_for_right(scheme: Scheme, suggestion: Mark, expected: KindCounts) -> None:
    assert count_kinds(scheme, [Mark(3, 8, "port")], [suggestion]) == expected


def test_a_partial_one_is_half_right() -> None:
    counts = KindCounts(correct=2, partial=1, missed=1, spurious=2)
    assert (counts.right, counts.possible, counts.actual) == (2.5, 4, 5)
