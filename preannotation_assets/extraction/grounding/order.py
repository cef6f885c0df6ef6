"""The order of the quotes as evidence: models mostly quote in reading order.

The quotes form a chain. Going forward on the page from one quote to the next is free; going back has
a cost that grows with the way up to a limit, and staying in the span just left has one too. What a place
costs a quote is the cost of the cheapest chain through it (its min-marginal), found by one pass
forward and one backward. Quotes that stand at one place only are anchors for the others. An order that
is none (shuffled quotes) costs every place about the same, and a quote with one place never moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple, Protocol

__all__ = ["Placed", "Spot", "chain_costs", "follow_the_page"]

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


def follow_the_page(places: Sequence[Sequence[Placed]]) -> bool:
    """Whether the quotes that stand at one place only go forward on the page, nearly all of them."""
    starts = [spots[0].start for spots in places if len(spots) == 1]
    steps = len(starts) - 1
    back = sum(after < before for before, after in pairwise(starts))
    return steps >= _FEWEST_STEPS and back <= _MOST_BACK * steps


def chain_costs(labels: Sequence[str], places: Sequence[Sequence[Placed]]) -> list[list[float]]:
    """The cost of every spot of every quote, in the chain of all quotes.

    The cheapest spot of a quote keeps its own cost, the others cost more by what they would cost the chain.

    Args:
        labels: the label of every quote, in the order of the quotes.
        places: the spots of every quote, in ascending order, without overlaps; one without any is skipped.
    """
    costs = [[spot.cost for spot in spots] for spots in places]
    chain = [index for index, own in enumerate(costs) if own]
    # A quote with one spot parts the chain: what is before it does not change what is best behind it.
    parting = [position for position, index in enumerate(chain) if len(costs[index]) == 1]
    first = -1
    for last in (*parting, len(chain)):
        between, count = first + 1, last - first - 1
        if count == 1:
            index = chain[between]
            before = (labels[chain[first]], places[chain[first]][0]) if first >= 0 else None
            behind = (labels[chain[last]], places[chain[last]][0]) if last < len(chain) else None
            costs[index] = _costs_of_one(before, labels[index], places[index], behind)
        elif count > 1:
            stops = [_stop(labels[index], places[index]) for index in chain[max(first, 0) : last + 1]]
            ahead = stops.pop(0) if first >= 0 else None
            rear = stops.pop() if last < len(chain) else None
            for index, own in zip(chain[between:last], _costs_between(ahead, stops, rear), strict=True):
                costs[index] = own
        first = last
    return costs


@dataclass(slots=True)
class _Stop:
    """A quote in the chain with its spots side by side: where they start and end, what each costs."""

    label: str
    starts: list[int]
    ends: list[int]
    costs: list[float]


def _stop(label: str, spots: Sequence[Placed]) -> _Stop:
    return _Stop(
        label,
        [spot.start for spot in spots],
        [spot.end for spot in spots],
        [spot.cost for spot in spots],
    )


def _costs_of_one(
    before: tuple[str, Placed] | None, label: str, spots: Sequence[Placed], behind: tuple[str, Placed] | None
) -> list[float]:
    """The costs of the spots of one quote between two with one spot each, or the ends of the chain."""
    own = ahead = back = [spot.cost for spot in spots]
    if before:
        there, same_label = before[1], before[0] == label
        start, end, total = there.start, there.end, there.cost
        ahead = [spot.cost + _step(start, end, total, same_label, spot.start, spot.end) for spot in spots]
    if behind:
        # The step to it, walked from behind: every place is mirrored.
        there, same_label = behind[1], behind[0] == label
        start, end, total = -there.end, -there.start, there.cost
        back = [spot.cost + _step(start, end, total, same_label, -spot.end, -spot.start) for spot in spots]
    return _through(own, ahead, back)


def _costs_between(before: _Stop | None, stops: list[_Stop], behind: _Stop | None) -> list[list[float]]:
    """The costs of the spots of stops between two with one spot each, or the ends of the chain."""
    forward = _pass(before, stops)
    backward = _pass(behind and _mirrored(behind), [_mirrored(stop) for stop in reversed(stops)])
    return [
        _through(stop.costs, ahead, back[::-1])
        for stop, ahead, back in zip(stops, forward, reversed(backward), strict=True)
    ]


def _mirrored(stop: _Stop) -> _Stop:
    return _Stop(
        stop.label,
        [-end for end in reversed(stop.ends)],
        [-start for start in reversed(stop.starts)],
        stop.costs[::-1],
    )


def _through(costs: Sequence[float], ahead: Sequence[float], back: Sequence[float]) -> list[float]:
    """What the cheapest chains through some spots cost, shifted so that the cheapest keeps its own cost."""
    through = [a + b - cost for cost, a, b in zip(costs, ahead, back, strict=True)]
    offset = min(costs) - min(through)
    return [cost + offset for cost in through]


def _pass(before: _Stop | None, stops: Sequence[_Stop]) -> list[list[float]]:
    """For every spot of some stops the cost of the cheapest chain that ends in it."""
    result: list[list[float]] = []
    totals = before.costs if before else []
    for stop in stops:
        totals = _next_totals(before, totals, stop) if before else stop.costs
        result.append(totals)
        before = stop
    return result


def _next_totals(before: _Stop, totals: list[float], stop: _Stop) -> list[float]:
    if len(totals) == 1:
        return _totals_behind_one(before, totals[0], stop)
    same_label = before.label == stop.label
    nested = _NESTED_IN_ITS_LABEL if same_label else _NESTED
    far_back = min(totals) + _STEP_BACK + _WAY_BACK
    near_back: Sequence[float] = ()
    behind = _INFINITY
    passed = 0
    left_starts, left_ends, count = before.starts, before.ends, len(totals)
    here: list[float] = []
    # Compared without `min`, which takes several times as long: every pair of neighbours comes by here.
    for start, end, cost in zip(stop.starts, stop.ends, stop.costs, strict=True):
        while passed < count and left_ends[passed] <= start:
            total = totals[passed]
            behind = total if total < behind else behind
            passed += 1
        best = behind if behind < far_back else far_back
        ahead = passed
        while ahead < count and left_starts[ahead] < end:
            if not same_label or left_starts[ahead] != start or left_ends[ahead] != end:
                total = totals[ahead] + nested
                best = total if total < best else best
            ahead += 1
        if ahead < count:
            near_back = near_back or _cheapest_ahead(left_starts, totals)
            total = near_back[ahead] - _WAY_BACK * end / _LONG_WAY
            best = total if total < best else best
        here.append(cost + best)
    return here


def _totals_behind_one(before: _Stop, total: float, stop: _Stop) -> list[float]:
    """The same behind a stop with one spot, as most are: there is nothing to choose from."""
    left_start, left_end = before.starts[0], before.ends[0]
    same_label = before.label == stop.label
    return [
        cost + _step(left_start, left_end, total, same_label, start, end)
        for start, end, cost in zip(stop.starts, stop.ends, stop.costs, strict=True)
    ]


def _step(left_start: int, left_end: int, total: float, same_label: bool, start: int, end: int) -> float:
    """The total of a chain behind the step from its last spot, with that total, to another."""
    if left_end <= start:
        return total
    far_back = total + _STEP_BACK + _WAY_BACK
    if left_start >= end:
        near_back = total + _STEP_BACK + _WAY_BACK * left_start / _LONG_WAY - _WAY_BACK * end / _LONG_WAY
        return min(far_back, near_back)
    if not same_label:
        return min(far_back, total + _NESTED)
    if left_start == start and left_end == end:
        return far_back
    return min(far_back, total + _NESTED_IN_ITS_LABEL)


def _cheapest_ahead(starts: Sequence[int], totals: Sequence[float]) -> list[float]:
    """For every spot the least cost of going back from it or a later one to the start of the page."""
    costs = [
        total + _STEP_BACK + _WAY_BACK * start / _LONG_WAY
        for start, total in zip(reversed(starts), reversed(totals), strict=True)
    ]
    return [*accumulate(costs, min)][::-1]
