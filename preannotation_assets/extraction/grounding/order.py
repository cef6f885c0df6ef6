"""The order of the quotes as evidence: models mostly quote in reading order.

The quotes form a chain. Going forward on the page from one quote to the next is free; going back has
a cost that grows with the way up to a limit, and staying in the span just left has one too. What a place
costs a quote is the cost of the cheapest chain through it (its min-marginal), found by one pass
forward and one backward. Quotes that stand at one place only are anchors for the others. An order that
is none (shuffled quotes) costs every place about the same, and a quote with one place never moves.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

__all__ = ["ChainLink", "Placed", "Spot", "chain_costs", "follow_the_page"]

_STEP_BACK = 0.4
_WAY_BACK = 1.0
_LONG_WAY = 400
_NESTED = 0.3
_NESTED_IN_ITS_LABEL = 0.8
# How many steps say something about the order, and which share of them may go back in a good one.
_FEWEST_STEPS = 4
_MOST_BACK = 0.2
_INFINITY = float("inf")


class Placed(Protocol):
    """A place that a quote may take, ``text[start:end]``, and its own cost."""

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


class ChainLink(NamedTuple):
    """A quote in the chain: its label, and its spots in ascending order."""

    label: str
    spots: Sequence[Placed]


def follow_the_page(links: Sequence[ChainLink]) -> bool:
    """Whether the quotes that stand at one place only go forward on the page, nearly all of them."""
    starts = [link.spots[0].start for link in links if len(link.spots) == 1]
    steps = len(starts) - 1
    back = sum(after < before for before, after in pairwise(starts))
    return steps >= _FEWEST_STEPS and back <= _MOST_BACK * steps


def chain_costs(links: Sequence[ChainLink]) -> list[list[float]]:
    """The cost of every spot of every quote, in the chain of all quotes.

    The spots of a quote must be in ascending order and must not overlap; a quote without spots is
    skipped. The cheapest spot of a quote keeps its own cost, the others cost more by what they would
    cost the chain.
    """
    costs = [[spot.cost for spot in link.spots] for link in links]
    chain = [index for index, link in enumerate(links) if link.spots]
    # A quote with one spot parts the chain: what is before it does not change what is best behind it.
    parting = [position for position, index in enumerate(chain) if len(costs[index]) == 1]
    for first, last in pairwise([-1, *parting, len(chain)]):
        if last - first > 1:
            part = chain[max(0, first) : last + 1]
            for index, own in zip(part, _part_costs([links[index] for index in part]), strict=True):
                costs[index] = own
    return costs


def _part_costs(chain: Sequence[ChainLink]) -> list[list[float]]:
    forward = _pass(chain)
    backward = _pass([_mirrored(link) for link in reversed(chain)])
    return [_through(*each) for each in zip(chain, forward, reversed(backward), strict=True)]


def _mirrored(link: ChainLink) -> ChainLink:
    return ChainLink(link.label, [Spot(-spot.end, -spot.start, spot.cost) for spot in reversed(link.spots)])


def _through(link: ChainLink, ahead: Sequence[float], behind: Sequence[float]) -> list[float]:
    through = [a + b - spot.cost for spot, a, b in zip(link.spots, ahead, reversed(behind), strict=True)]
    offset = min(spot.cost for spot in link.spots) - min(through)
    return [cost + offset for cost in through]


def _pass(chain: Sequence[ChainLink]) -> list[list[float]]:
    """For every spot the cost of the cheapest chain that ends in it."""
    result = [[spot.cost for spot in link.spots] for link in chain[:1]]
    for before, link in pairwise(chain):
        result.append(_next_totals(before, result[-1], link))
    return result


def _next_totals(before: ChainLink, totals: Sequence[float], link: ChainLink) -> list[float]:
    nested = _NESTED_IN_ITS_LABEL if before.label == link.label else _NESTED
    far_back = min(totals) + _STEP_BACK + _WAY_BACK
    near_back: Sequence[float] | None = None
    behind = _INFINITY
    passed = 0
    left, count = before.spots, len(totals)
    here: list[float] = []
    for spot in link.spots:
        start, end = spot.start, spot.end
        while passed < count and left[passed].end <= start:
            behind = min(behind, totals[passed])
            passed += 1
        best = min(behind, far_back)
        ahead = passed
        while ahead < count and left[ahead].start < end:
            if before.label != link.label or left[ahead].start != start or left[ahead].end != end:
                best = min(best, totals[ahead] + nested)
            ahead += 1
        if ahead < count:
            near_back = near_back or _cheapest_ahead(left, totals)
            best = min(best, near_back[ahead] - _WAY_BACK * end / _LONG_WAY)
        here.append(spot.cost + best)
    return here


def _cheapest_ahead(spots: Sequence[Placed], totals: Sequence[float]) -> list[float]:
    """For every spot the least cost of going back from it or a later one to the start of the page."""
    cheapest: list[float] = []
    least = _INFINITY
    for spot, total in zip(reversed(spots), reversed(totals), strict=True):
        cost = total + _STEP_BACK + _WAY_BACK * spot.start / _LONG_WAY
        least = min(least, cost)
        cheapest.append(least)
    cheapest.reverse()
    return cheapest
