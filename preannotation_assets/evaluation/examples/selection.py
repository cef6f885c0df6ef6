"""Which excerpts become examples: a cover of what there is to show, within a budget of tokens.

What a set of examples is worth is the sum over the things that it shows, each weighed by how often it was
seen; a second example of the same thing is worth half of the first, a third a quarter. That is monotone and
submodular, so taking what adds most for its tokens comes within (1 - 1/e) / 2 of the best set that fits, if
the best single one is taken where it is worth more (Khuller, Moss and Naor 1999; Lin and Bilmes 2010). That
a set should cover what matters, rather than each example be good by itself, is Gupta, Gardner and Singh 2023.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from preannotation_assets.evaluation.examples.candidates import Candidate
from preannotation_assets.evaluation.examples.shown import Shown, ShownKind
from preannotation_assets.evaluation.held_out import digest_of

__all__ = ["Selection", "select_examples", "weights_of", "worth_of"]

# Of what is shown a second time.
_AGAIN: Final = 0.5
_REQUIRED: Final = (ShownKind.LABEL, ShownKind.NOTHING)


@dataclass(frozen=True, slots=True)
class Selection:
    """The examples in the order in which they were taken, and what could have been shown."""

    chosen: tuple[Candidate, ...]
    possible: frozenset[Shown]

    @property
    def tokens(self) -> int:
        """The estimate for all of them in a prompt."""
        return sum(candidate.tokens for candidate in self.chosen)

    @property
    def shown(self) -> frozenset[Shown]:
        """What they show together."""
        return frozenset[Shown]().union(*(candidate.shown for candidate in self.chosen))

    @property
    def in_order(self) -> list[Candidate]:
        """As they stand in a scheme: those without spans first, and what was taken first next to the page."""
        marked = [candidate for candidate in self.chosen if candidate.example.spans]
        empty = [candidate for candidate in self.chosen if not candidate.example.spans]
        return [*empty, *reversed(marked)]


def select_examples(
    candidates: Iterable[Candidate],
    budget: int,
    most: int,
    shown_already: Mapping[Shown, int] | None = None,
) -> Selection:
    """Takes excerpts within a budget of estimated tokens, ``most`` at most.

    First every label, and that nothing may be there, is shown at least once: where the cheapest excerpts of
    each of them fit together, all are. Then what adds most for its tokens is taken until nothing fits.

    Args:
        candidates: excerpts that do not overlap, in any order.
        budget: tokens of all that is taken.
        most: how many are taken.
        shown_already: how many examples that stay show what.
    """
    pool = sorted(candidates, key=_tie_break)
    weights = weights_of(pool)
    counts = Counter(shown_already or {})
    chosen = _cover(pool, budget, most, weights, counts)
    rest = [candidate for candidate in pool if candidate not in chosen]
    for candidate in chosen:
        counts.update(candidate.shown)
    left = budget - sum(candidate.tokens for candidate in chosen)
    chosen += _fill(rest, left, most - len(chosen), weights, counts)
    return Selection(tuple(chosen), frozenset[Shown]().union(*(candidate.shown for candidate in pool)))


def weights_of(candidates: Sequence[Candidate]) -> dict[Shown, float]:
    """How often each thing is seen, as a share of its kind: mistakes and habits weigh as much as labels.

    That nothing is to be marked is shown once, and is worth nothing more.
    """
    seen = Counter(shown for candidate in candidates for shown in candidate.shown)
    of_kind: Counter[ShownKind] = Counter()
    for shown, count in seen.items():
        of_kind[shown.kind] += count
    return {
        shown: 0.0 if shown.kind is ShownKind.NOTHING else count / of_kind[shown.kind]
        for shown, count in seen.items()
    }


def worth_of(
    chosen: Iterable[Candidate], weights: Mapping[Shown, float], shown_already: Mapping[Shown, int]
) -> float:
    """What a set of examples is worth beside those that are there."""
    counts, worth = Counter(shown_already), 0.0
    for candidate in chosen:
        worth += _gain(candidate, weights, counts)
        counts.update(candidate.shown)
    return worth


def _gain(candidate: Candidate, weights: Mapping[Shown, float], counts: Mapping[Shown, int]) -> float:
    return sum(weights[shown] * _AGAIN ** counts.get(shown, 0) for shown in sorted(candidate.shown))


def _tie_break(candidate: Candidate) -> tuple[str, int]:
    """An order that says nothing, the same each time."""
    doc_id, page_num = candidate.page
    return digest_of(f"{doc_id}:{page_num}:{candidate.start}"), candidate.start


def _cover(
    pool: Sequence[Candidate],
    budget: int,
    most: int,
    weights: Mapping[Shown, float],
    counts: Mapping[Shown, int],
) -> list[Candidate]:
    """Shows each label once, by what shows most of the open ones for its tokens.

    Where it can be, room is kept for the cheapest excerpt of every label that stays open.
    """
    cheapest: dict[Shown, int] = {}
    for candidate in pool:
        for shown in candidate.shown:
            if shown.kind in _REQUIRED and not counts.get(shown):
                cheapest[shown] = min(candidate.tokens, cheapest.get(shown, candidate.tokens))
    chosen: list[Candidate] = []
    open_ones, left = frozenset(cheapest), budget
    while open_ones and len(chosen) < most:
        fitting = [each for each in pool if each.tokens <= left and each.shown & open_ones]
        kept = [each for each in fitting if each.tokens + _reserve(open_ones - each.shown, cheapest) <= left]
        if not fitting:
            break
        best = _best(kept or fitting, _opening(open_ones, weights, counts))
        chosen.append(best)
        open_ones -= best.shown
        left -= best.tokens
    return chosen


def _opening(
    open_ones: Set[Shown], weights: Mapping[Shown, float], counts: Mapping[Shown, int]
) -> Callable[[Candidate], tuple[float, ...]]:
    """How many of the open ones an excerpt shows for its tokens; of equals, what it is worth for them."""

    def value(candidate: Candidate) -> tuple[float, ...]:
        shown = len(candidate.shown & open_ones)
        return shown / candidate.tokens, _gain(candidate, weights, counts) / candidate.tokens

    return value


def _reserve(open_ones: Set[Shown], cheapest: Mapping[Shown, int]) -> int:
    return sum(cheapest[shown] for shown in open_ones)


def _fill(
    pool: Sequence[Candidate],
    budget: int,
    most: int,
    weights: Mapping[Shown, float],
    shown_already: Mapping[Shown, int],
) -> list[Candidate]:
    """What adds most for its tokens, again and again; or the best single one, where it is worth more."""
    chosen: list[Candidate] = []
    counts, left = Counter(shown_already), budget
    rest = list(pool)
    while len(chosen) < most:
        rest = [each for each in rest if each.tokens <= left]
        if not rest:
            break
        best = _best(rest, lambda each: (_gain(each, weights, counts) / each.tokens,))
        if _gain(best, weights, counts) <= 0:
            break
        chosen.append(best)
        rest.remove(best)
        counts.update(best.shown)
        left -= best.tokens
    single = [each for each in pool if each.tokens <= budget]
    if single and most > 0:
        alone = _best(single, lambda each: (_gain(each, weights, shown_already),))
        if worth_of([alone], weights, shown_already) > worth_of(chosen, weights, shown_already):
            return [alone]
    return chosen


def _best(candidates: Sequence[Candidate], value: Callable[[Candidate], tuple[float, ...]]) -> Candidate:
    """The first of those with the greatest value."""
    return max(candidates, key=value)
