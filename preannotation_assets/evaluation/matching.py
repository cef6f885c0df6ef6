"""Which suggestion stands for which span of the gold, and of what kind each is.

The kinds and schemes are those of SemEval-2013 task 9.1 (Segura-Bedmar et al., 2013) as nervaluate has them.
Pairs are another matter: nervaluate gives each suggestion, in the order of the list, the first span it
overlaps, so that a suggestion may lose the span it equals to one that was listed before it. Here the best
pairs are made first, so the order of the lists decides nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from preannotation_assets.evaluation.pages import place_of
from preannotation_assets.extraction.segments import Mark

__all__ = [
    "Kind",
    "KindCounts",
    "Pairing",
    "Scheme",
    "count_kinds",
    "pair_marks",
    "shared_characters",
]

MarkT = TypeVar("MarkT", bound=Mark)


class Scheme(StrEnum):
    """What a suggestion must have right: borders and label; borders; or the label, and some of the place.

    nervaluate calls them strict, partial and ent_type.
    """

    STRICT = "strict"
    OVERLAP = "overlap"
    TYPE = "type"


class Kind(StrEnum):
    """What a span of the gold, or a suggestion, or a pair of both is in a scheme.

    Only OVERLAP has PARTIAL, for a pair of other borders, and no INCORRECT, as labels do not count there.
    """

    CORRECT = "correct"
    INCORRECT = "incorrect"
    PARTIAL = "partial"
    MISSED = "missed"
    SPURIOUS = "spurious"


@dataclass(frozen=True, slots=True)
class Pairing(Generic[MarkT]):
    """Pairs of gold and suggestion, and what is in none: ``missed`` of the gold, ``spurious`` suggestions."""

    pairs: tuple[tuple[Mark, MarkT], ...]
    missed: tuple[Mark, ...]
    spurious: tuple[MarkT, ...]


def shared_characters(one: Mark, other: Mark) -> int:
    """How many characters two marks have in common."""
    return max(0, min(one.end, other.end) - max(one.start, other.start))


def pair_marks(
    gold: Sequence[Mark], suggested: Sequence[MarkT], rank: Callable[[Mark, Mark], int]
) -> Pairing[MarkT]:
    """Pairs marks that overlap, none of them twice.

    The pair of the lowest ``rank`` is made first; of the same rank that which shares most, by Dice's
    coefficient of characters; then the first on the page. So no two marks are left that would both rather
    be a pair with each other.
    """
    taken_gold: set[int] = set()
    taken_suggested: set[int] = set()
    pairs = []
    for _, one, other in sorted(_candidates(gold, suggested, rank)):
        if one not in taken_gold and other not in taken_suggested:
            taken_gold.add(one)
            taken_suggested.add(other)
            pairs.append((gold[one], suggested[other]))
    return Pairing(
        tuple(sorted(pairs, key=lambda pair: (place_of(pair[0]), place_of(pair[1])))),
        _left(gold, taken_gold),
        _left(suggested, taken_suggested),
    )


_Order = tuple[int, float, tuple[int, int, str], tuple[int, int, str]]


def _candidates(
    gold: Sequence[Mark], suggested: Sequence[Mark], rank: Callable[[Mark, Mark], int]
) -> Iterator[tuple[_Order, int, int]]:
    for one, other in _overlapping(gold, suggested):
        first, second = gold[one], suggested[other]
        length = first.end - first.start + second.end - second.start
        dice = 2 * shared_characters(first, second) / length
        # The order of the two places, so that it decides nothing which of them is the gold.
        lower, upper = sorted((place_of(first), place_of(second)))
        yield (rank(first, second), -dice, lower, upper), one, other


def _overlapping(gold: Sequence[Mark], suggested: Sequence[Mark]) -> Iterator[tuple[int, int]]:
    """The numbers of all marks that share a character, in one sweep over the page."""
    waiting = sorted(range(len(gold)), key=lambda index: gold[index].start, reverse=True)
    live: list[int] = []
    for other in sorted(range(len(suggested)), key=lambda index: suggested[index].start):
        mark = suggested[other]
        while waiting and gold[waiting[-1]].start < mark.end:
            live.append(waiting.pop())
        # Those that follow begin no earlier, so what has ended is over for them as well.
        live = [one for one in live if gold[one].end > mark.start]
        yield from ((one, other) for one in live if gold[one].start < mark.end)


def _left(marks: Sequence[MarkT], taken: set[int]) -> tuple[MarkT, ...]:
    left = (mark for index, mark in enumerate(marks) if index not in taken)
    return tuple(sorted(left, key=place_of))


@dataclass(frozen=True, slots=True)
class KindCounts:
    """How many there are of each kind. A partial one is half right (SemEval-2013)."""

    correct: int = 0
    incorrect: int = 0
    partial: int = 0
    missed: int = 0
    spurious: int = 0

    def __add__(self, other: "KindCounts") -> "KindCounts":
        return KindCounts(
            self.correct + other.correct,
            self.incorrect + other.incorrect,
            self.partial + other.partial,
            self.missed + other.missed,
            self.spurious + other.spurious,
        )

    @property
    def right(self) -> float:
        """What counts as right."""
        return self.correct + self.partial / 2

    @property
    def possible(self) -> int:
        """The spans of the gold."""
        return self.correct + self.incorrect + self.partial + self.missed

    @property
    def actual(self) -> int:
        """The suggestions."""
        return self.correct + self.incorrect + self.partial + self.spurious


def count_kinds(scheme: Scheme, gold: Sequence[Mark], suggested: Sequence[Mark]) -> KindCounts:
    """Counts the kinds on a page."""
    pairing = pair_marks(gold, suggested, _RANKS[scheme])
    kinds = [_kind_of(scheme, *pair) for pair in pairing.pairs]
    return KindCounts(
        kinds.count(Kind.CORRECT),
        kinds.count(Kind.INCORRECT),
        kinds.count(Kind.PARTIAL),
        len(pairing.missed),
        len(pairing.spurious),
    )


def _kind_of(scheme: Scheme, gold: Mark, suggested: Mark) -> Kind:
    match scheme:
        case Scheme.STRICT:
            return Kind.CORRECT if place_of(gold) == place_of(suggested) else Kind.INCORRECT
        case Scheme.OVERLAP:
            return Kind.CORRECT if _same_borders(gold, suggested) else Kind.PARTIAL
        case Scheme.TYPE:
            return Kind.CORRECT if gold.label == suggested.label else Kind.INCORRECT


def _same_borders(gold: Mark, suggested: Mark) -> bool:
    return (gold.start, gold.end) == (suggested.start, suggested.end)


def _right_first(is_right: Callable[[Mark, Mark], bool]) -> Callable[[Mark, Mark], int]:
    return lambda gold, suggested: 0 if is_right(gold, suggested) else 1


_RANKS: Final = {
    Scheme.STRICT: _right_first(lambda gold, suggested: place_of(gold) == place_of(suggested)),
    Scheme.OVERLAP: _right_first(_same_borders),
    Scheme.TYPE: _right_first(lambda gold, suggested: gold.label == suggested.label),
}
