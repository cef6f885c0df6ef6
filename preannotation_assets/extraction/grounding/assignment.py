"""One place for one answer: the assignment of least total cost.

The classic assignment problem on a sparse graph, solved by successive shortest augmenting paths with
potentials (Jonker and Volgenant, 1987). Every answer may also be rejected, at a cost above that of any
place, so that as many answers as possible get one and the costs decide who does not. Most answers are
alone on their cheapest place: their path has length one.
"""

from collections.abc import Hashable, Mapping, Sequence
from heapq import heappop, heappush
from typing import TypeVar

__all__ = ["REJECTION", "assign"]

# Above the cost that any change of places can save.
REJECTION = 1_000.0

Place = TypeVar("Place", bound=Hashable)


def assign(options: Sequence[Mapping[Place, float]]) -> list[Place | None]:
    """Gives every answer one of its places, or none, so that no place is used twice.

    Args:
        options: for every answer the places it can take and the cost of each.

    Returns:
        The place of every answer; None for an answer that others leave no place.
    """
    numbers: dict[Place, int] = {}
    costs = [
        {numbers.setdefault(place, len(numbers)): cost for place, cost in own.items()} for own in options
    ]
    solver = _Solver(costs)
    for answer in range(len(costs)):
        solver.add(answer)
    places = list(numbers)
    return [places[number] if number >= 0 else None for number in solver.chosen]


class _Solver:
    """An optimal assignment of the answers added so far; place ``-1 - answer`` is that answer's rejection."""

    def __init__(self, costs: Sequence[dict[int, float]]) -> None:
        self.chosen = [-1 - answer for answer in range(len(costs))]
        self._costs = costs
        self._owner: dict[int, int] = {}
        self._price: dict[int, float] = {}

    def add(self, answer: int) -> None:
        """Adds an answer, moving others along the cheapest path to a free place."""
        costs = self._costs[answer]
        if not costs:
            return
        cheapest = min(
            costs, key=lambda place: (costs[place] + self._price.get(place, 0.0), place in self._owner)
        )
        if cheapest not in self._owner:
            self._owner[cheapest] = answer
            self.chosen[answer] = cheapest
            return
        reached, came_from, target = self._cheapest_path(answer)
        total = reached.pop(target)
        for place, distance in reached.items():
            self._price[place] = self._price.get(place, 0.0) + total - distance
        place = target
        while True:
            mover = came_from[place]
            left = self.chosen[mover]
            self._owner[place] = mover
            self.chosen[mover] = place
            if mover == answer:
                return
            place = left

    def _cheapest_path(self, answer: int) -> tuple[dict[int, float], dict[int, int], int]:
        """Dijkstra over places with reduced costs; returns the places passed, whence, and the free one."""
        reached: dict[int, float] = {}
        came_from: dict[int, int] = {}
        nearest: dict[int, float] = {}
        heap: list[tuple[float, int]] = []
        current, base = answer, 0.0
        while True:
            own = 0.0 if current == answer else self._reduced(current, self.chosen[current])
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

    def _reduced(self, answer: int, place: int) -> float:
        cost = self._costs[answer][place] if place >= 0 else REJECTION
        return cost + self._price.get(place, 0.0)
