"""A text cut where marks begin and end, for whatever shows marks that may overlap. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

__all__ = ["Mark", "Segment", "segments"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A labelled place: ``text[start:end]``, in code points, not empty."""

    start: int
    end: int
    label: str


MarkT = TypeVar("MarkT", bound=Mark)


@dataclass(frozen=True, slots=True)
class Segment(Generic[MarkT]):
    """A stretch between two borders, the marks on it, and those that begin before or end behind it.

    ``opening`` and ``covering`` have the innermost mark last; ``closing`` has it first.
    """

    text: str
    opening: tuple[MarkT, ...]
    covering: tuple[MarkT, ...]
    closing: tuple[MarkT, ...]


def segments(text: str, marks: Iterable[MarkT]) -> Iterator[Segment[MarkT]]:
    """The whole text, cut where a mark begins or ends."""
    # The longest of those that begin together is the outermost.
    waiting = sorted(marks, key=lambda mark: (mark.start, -mark.end, mark.label), reverse=True)
    borders = {0, len(text), *(mark.start for mark in waiting), *(mark.end for mark in waiting)}
    covering: list[MarkT] = []
    for start, end in pairwise(sorted(borders)):
        opening: list[MarkT] = []
        while waiting and waiting[-1].start <= start:
            opening.append(waiting.pop())
        covering += opening
        closing = tuple(mark for mark in reversed(covering) if mark.end <= end)
        yield Segment(text[start:end], tuple(opening), tuple(covering), closing)
        covering = [mark for mark in covering if mark.end > end]
