"""The order of the answers as evidence: models mostly answer in reading order.

The answers form a chain. Going forward on the page from one answer to the next is free; going back has
a cost that grows with the way up to a limit, and staying in the span just left has one too. What a place
costs an answer is the cost of the cheapest chain through it (its min-marginal), found by one pass
forward and one backward. Answers that stand at one place only are anchors for the others. An order that
is none (shuffled answers) costs every place about the same, and an answer with one place never moves.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

__all__ = ["Placed", "Spot", "Stop", "chain_costs"]

_STEP_BACK = 0.4
_WAY_BACK = 1.0
_LONG_WAY = 400
_NESTED = 0.3
_NESTED_IN_ITS_LABEL = 0.8
_INFINITY = float("inf")


class Placed(Protocol):
    """A place that an answer may take, ``text[start:end]``, and its own cost."""

    @property
    def start(self) -> int:
        """The first code point."""

    @property
    def end(self) -> int:
        """The code point behind the last one."""

    @property
    def cost(self) -> float:
        """What the place costs by itself."""


class Spot(NamedTuple):
    """The plainest place."""

    start: int
    end: int
    cost: float


class Stop(NamedTuple):
    """An answer in the chain: its label, and its spots in ascending order."""

    label: str
    spots: Sequence[Placed]


def chain_costs(answers: Sequence[Stop]) -> list[list[float]]:
    """The cost of every spot of every answer, in the chain of all answers.

    The spots of an answer must be in ascending order and must not overlap; an answer without spots is
    skipped. The cheapest spot of an answer keeps its own cost, the others cost more by what they would
    cost the chain.
    """
    costs = [[spot.cost for spot in stop.spots] for stop in answers]
    chain = [index for index, stop in enumerate(answers) if stop.spots]
    # An answer with one spot parts the chain: what is before it does not change what is best behind it.
    parting = [position for position, index in enumerate(chain) if len(costs[index]) == 1]
    for first, last in pairwise([-1, *parting, len(chain)]):
        if last - first > 1:
            part = chain[max(0, first) : last + 1]
            for index, own in zip(part, _part_costs([answers[index] for index in part]), strict=True):
                costs[index] = own
    return costs


def _part_costs(chain: Sequence[Stop]) -> list[list[float]]:
    forward = _pass(chain)
    backward = _pass([_mirrored(stop) for stop in reversed(chain)])
    return [_through(*links) for links in zip(chain, forward, reversed(backward), strict=True)]


def _mirrored(stop: Stop) -> Stop:
    return Stop(stop.label, [Spot(-spot.end, -spot.start, spot.cost) for spot in reversed(stop.spots)])


def _through(stop: Stop, ahead: Sequence[float], behind: Sequence[float]) -> list[float]:
    through = [a + b - spot.cost for spot, a, b in zip(stop.spots, ahead, reversed(behind), strict=True)]
    offset = min(spot.cost for spot in stop.spots) - min(through)
    return [cost + offset for cost in through]


def _pass(chain: Sequence[Stop]) -> list[list[float]]:
    """For every spot the cost of the cheapest chain that ends in it."""
    result = [[spot.cost for spot in stop.spots] for stop in chain[:1]]
    for before, stop in pairwise(chain):
        result.append(_next_totals(before, result[-1], stop))
    return result


def _next_totals(before: Stop, totals: Sequence[float], stop: Stop) -> list[float]:
    nested = _NESTED_IN_ITS_LABEL if before.label == stop.label else _NESTED
    far_back = min(totals) + _STEP_BACK + _WAY_BACK
    near_back: Sequence[float] | None = None
    behind = _INFINITY
    passed = 0
    count = len(totals)
    here: list[float] = []
    for spot in stop.spots:
        start, end = spot.start, spot.end
        while passed < count and before.spots[passed].end <= start:
            behind = min(behind, totals[passed])
            passed += 1
        best = min(behind, far_back)
        ahead = passed
        while ahead < count and before.spots[ahead].start < end:
            if (
                before.label != stop.label
                or before.spots[ahead].start != start
                or before.spots[ahead].end != end
            ):
                best = min(best, totals[ahead] + nested)
            ahead += 1
        if ahead < count:
            near_back = near_back or _cheapest_ahead(before.spots, totals)
            best = min(best, near_back[ahead] - _WAY_BACK * end / _LONG_WAY)
        here.append(spot.cost + best)
    return here


def _cheapest_ahead(spots: Sequence[Placed], totals: Sequence[float]) -> list[float]:
    """For every spot the least cost of going back from it or a later one to the start of the page."""
    cheapest: list[float] = []
    least = _INFINITY
    for spot, total in zip(reversed(spots), reversed(totals), strict=True):
        least = min(least, total + _STEP_BACK + _WAY_BACK * spot.start / _LONG_WAY)
        cheapest.append(least)
    cheapest.reverse()
    return cheapest
