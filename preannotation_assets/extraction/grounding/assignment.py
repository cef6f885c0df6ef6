"""One place for one quote: the assignment of least total cost.

The classic assignment problem on a sparse graph, solved by successive shortest augmenting paths with
potentials (Jonker and Volgenant, 1987). Every quote may also be rejected, at a cost above that of any
place, so that as many quotes as possible get one and the costs decide who does not. Most quotes are
alone on their cheapest place: their path has length one.
"""

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

from .work import Work, WorkSpentError

__all__ = ["REJECTION", "assign"]

# Above the cost that any change of places can save.
REJECTION = 1_000.0


def assign(options: Sequence[Mapping[int, float]], work: Work) -> list[int | None]:
    """Gives every quote one of its places, or none, so that no place is used twice.

    Args:
        options: for every quote the places it can take, as numbers from 0 on, and the cost of each.
        work: what moving others may cost; beyond it quotes get the cheapest places that are still free.

    Returns:
        The place of every quote; None for a quote that others leave no place.
    """
    solver = _Solver(options, work)
    for quote in range(len(options)):
        solver.add(quote)
    return [place if place >= 0 else None for place in solver.chosen]


class _Solver:
    """An optimal assignment of the quotes added so far; place ``-1 - quote`` is that quote's rejection."""

    def __init__(self, costs: Sequence[Mapping[int, float]], work: Work) -> None:
        self.chosen = [-1 - quote for quote in range(len(costs))]
        self._costs = costs
        self._work = work
        self._owner: dict[int, int] = {}
        self._price: dict[int, float] = {}

    def add(self, quote: int) -> None:
        """Adds a quote, moving others along the cheapest path to a free place."""
        costs = self._costs[quote]
        if not costs:
            return
        cheapest = self._cheapest(costs) if len(costs) > 1 else next(iter(costs))
        if cheapest not in self._owner:
            self._owner[cheapest] = quote
            self.chosen[quote] = cheapest
            return
        try:
            reached, came_from, target = self._cheapest_path(quote)
        except WorkSpentError:
            self._take_free_place(quote)
            return
        total = reached.pop(target)
        for place, distance in reached.items():
            self._price[place] = self._price.get(place, 0.0) + total - distance
        place = target
        while True:
            mover = came_from[place]
            left = self.chosen[mover]
            self._owner[place] = mover
            self.chosen[mover] = place
            if mover == quote:
                return
            place = left

    def _cheapest(self, costs: Mapping[int, float]) -> int:
        """The place that costs least with its price, a free one before an owned one."""
        price, owner = self._price, self._owner
        cheapest, least = -1, (float("inf"), True)
        for place, cost in costs.items():
            total = (cost + price.get(place, 0.0), place in owner)
            if total < least:
                cheapest, least = place, total
        return cheapest

    def _take_free_place(self, quote: int) -> None:
        costs = self._costs[quote]
        free = [place for place in costs if place not in self._owner]
        if free:
            cheapest = min(free, key=lambda place: costs[place] + self._price.get(place, 0.0))
            self._owner[cheapest] = quote
            self.chosen[quote] = cheapest

    def _cheapest_path(self, quote: int) -> tuple[dict[int, float], dict[int, int], int]:
        """Dijkstra over places with reduced costs; returns the places passed, whence, and the free one."""
        reached: dict[int, float] = {}
        came_from: dict[int, int] = {}
        nearest: dict[int, float] = {}
        heap: list[tuple[float, int]] = []
        current, base = quote, 0.0
        while True:
            own = 0.0 if current == quote else self._reduced(current, self.chosen[current])
            self._work.spend(1 + len(self._costs[current]))
            for place in (*self._costs[current], -1 - current):
                if place in reached:
                    continue
                distance = base + self._reduced(current, place) - own
                if distance < nearest.get(place, float("inf")):
                    nearest[place] = distance
                    came_from[place] = current
                    heappush(heap, (distance, place))
            base, place = heappop(heap)
            while place in reached:
                base, place = heappop(heap)
            reached[place] = base
            if place not in self._owner:
                return reached, came_from, place
            current = self._owner[place]

    def _reduced(self, quote: int, place: int) -> float:
        cost = self._costs[quote][place] if place >= 0 else REJECTION
        return cost + self._price.get(place, 0.0)
