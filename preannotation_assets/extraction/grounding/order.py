"""The order of the answers as evidence: models mostly answer in reading order.

The answers form a chain. Going forward on the page from one answer to the next is free; going back, or
into the span just left, has a cost. What a place costs an answer is the cost of the cheapest chain
through it (its min-marginal), found by one pass forward and one backward. Answers that stand at one
place only are anchors for the others. An order that is none (shuffled answers) costs every place
about the same, and answers with one place never change it.
"""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Spot", "chain_costs"]

_STEP_BACK = 1.0
_OVERLAP = 0.3
_INFINITY = float("inf")


class Spot(NamedTuple):
    """A place that an answer may take, ``text[start:end]``, and its own cost."""

    start: int
    end: int
    cost: float


def chain_costs(answers: Sequence[Sequence[Spot]]) -> list[list[float]]:
    """The cost of every spot of every answer, in the chain of all answers.

    The spots of an answer must be in ascending order; an answer without spots is skipped. The cheapest
    spot of an answer keeps its own cost, the others cost more by what they would cost the chain.
    """
    chain = [spots for spots in answers if spots]
    forward = _pass(chain)
    backward = _pass([[Spot(-spot.end, -spot.start, spot.cost) for spot in reversed(spots)] for spots in reversed(chain)])
    linked = iter(zip(chain, forward, reversed(backward), strict=True))
    return [_through(*next(linked)) if spots else [] for spots in answers]


def _through(spots: Sequence[Spot], ahead: Sequence[float], behind: Sequence[float]) -> list[float]:
    if len(spots) == 1:
        return [spots[0].cost]
    through = [a + b - spot.cost for spot, a, b in zip(spots, ahead, reversed(behind), strict=True)]
    offset = min(spot.cost for spot in spots) - min(through)
    return [cost + offset for cost in through]


def _pass(answers: Sequence[Sequence[Spot]]) -> list[list[float]]:
    """For every spot the cost of the cheapest chain that ends in it."""
    result: list[list[float]] = []
    before: Sequence[Spot] = ()
    totals: list[float] = [0.0]
    for spots in answers:
        totals = _next_totals(before, totals, spots)
        result.append(totals)
        before = spots
    return result


def _next_totals(before: Sequence[Spot], totals: Sequence[float], spots: Sequence[Spot]) -> list[float]:
    from_ahead = min(totals) + _STEP_BACK if before else totals[0]
    from_behind = _INFINITY
    passed = 0
    here: list[float] = []
    for start, end, cost in spots:
        while passed < len(before) and before[passed].end <= start:
            from_behind = min(from_behind, totals[passed])
            passed += 1
        best = min(from_behind, from_ahead)
        around = passed
        while around < len(before) and before[around].start <= start:
            if before[around].start < start or before[around].end != end:
                best = min(best, totals[around] + _OVERLAP)
            around += 1
        here.append(cost + best)
    return here
