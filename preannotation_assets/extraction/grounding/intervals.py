"""Intervals that must not overlap."""

from bisect import bisect_left, insort

__all__ = ["FEWEST_OVERLAPPING", "Intervals"]

FEWEST_OVERLAPPING = 2
"""Fewer intervals than these cannot overlap."""


class Intervals:
    """A growing set of non-empty intervals, none of which overlap."""

    def __init__(self) -> None:
        self._members: list[tuple[int, int]] = []

    def add(self, start: int, end: int) -> bool:
        """Adds an interval if it overlaps no other; says whether it did. Touching is not overlapping."""
        position = bisect_left(self._members, (start, end))
        if position > 0 and self._members[position - 1][1] > start:
            return False
        if position < len(self._members) and self._members[position][0] < end:
            return False
        insort(self._members, (start, end))
        return True
