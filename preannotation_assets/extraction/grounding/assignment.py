"""One place for one answer: the assignment of least total cost.

As many answers as possible get a place, and of all ways to do so the cheapest one is taken: successive
shortest augmenting paths with potentials (Jonker and Volgenant 1987), on the sparse graph of answers
and their places. Most answers are alone on their cheapest place and need no path at all.
"""

from collections.abc import Hashable, Mapping, Sequence
from heapq import heappop, heappush

__all__ = ["assign"]


def assign(options: Sequence[Mapping[Hashable, float]]) -> list[Hashable | None]:
    """Assigns every answer to one of its places, or to none, so that no place is used twice.

    Args:
        options: for every answer the places it can take and the cost of each.

    Returns:
        The place of every answer; None where others need all of its places.
    """
    owner: dict[Hashable, int] = {}
    chosen: list[Hashable | None] = [None] * len(options)
    price: dict[Hashable, float] = {}
    for answer, places in enumerate(options):
        if places:
            _augment(answer, options, owner, chosen, price)
    return chosen


def _augment(
    answer: int,
    options: Sequence[Mapping[Hashable, float]],
    owner: dict[Hashable, int],
    chosen: list[Hashable | None],
    price: dict[Hashable, float],
) -> None:
    """Places one more answer, moving others along the cheapest path to a free place."""
    distance: dict[Hashable, float] = {}
    came_from: dict[Hashable, int] = {}
    done: dict[Hashable, float] = {}
    heap: list[tuple[float, int, Hashable]] = []
    count = 0
    current, base = answer, 0.0
    target: Hashable | None = None
    while True:
        here = options[current]
        taken = chosen[current]
        # The reduced cost of the place the answer already holds is zero.
        own = here[taken] + price.get(taken, 0.0) if taken is not None else 0.0
        for place, cost in here.items():
            if place in done:
                continue
            reached = base + cost + price.get(place, 0.0) - own
            if reached < distance.get(place, float("inf")):
                distance[place] = reached
                came_from[place] = current
                count += 1
                heappush(heap, (reached, count, place))
        while heap and heap[0][2] in done:
            heappop(heap)
        if not heap:
            return
        base, _, place = heappop(heap)
        done[place] = base
        if place not in owner:
            target = place
            break
        current = owner[place]
    for place, reached in done.items():
        price[place] = price.get(place, 0.0) + base - reached
    place = target
    while True:
        mover = came_from[place]
        left = chosen[mover]
        owner[place] = mover
        chosen[mover] = place
        if mover == answer:
            return
        place = left
