"""What an excerpt of a reviewed page shows a model: labels, its own mistakes, and how the page is printed."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum

from preannotation_assets.evaluation.actions import ADDED, Decision, Fate, infer_actions
from preannotation_assets.evaluation.examples.habits import habits_of, habits_of_lines
from preannotation_assets.evaluation.pages import ReviewedPage
from preannotation_assets.extraction.segments import Mark

__all__ = ["PlacedShown", "Shown", "ShownKind", "shown_by", "shown_on"]


class ShownKind(StrEnum):
    """A kind of what is to be shown."""

    LABEL = "label"
    # A span that the model missed, placed or named wrongly, or suggested where there is none.
    MISTAKE = "mistake"
    HABIT = "habit"
    # That nothing is to be marked.
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, order=True)
class Shown:
    """One thing that an example can show: a label, a mistake by its name and labels, an ``OcrHabit``."""

    kind: ShownKind
    name: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlacedShown:
    """Something to show and the stretch of the page that has to be in the excerpt for it."""

    start: int
    end: int
    shown: Shown


def shown_on(page: ReviewedPage, gold: Sequence[Mark], known: Set[str]) -> list[PlacedShown]:
    """All that a page shows, by place; ``gold`` are its spans with labels that the scheme has: ``known``."""
    return [*_labels(gold), *_mistakes(page, gold, known), *_habits(page, gold)]


def shown_by(placed: Sequence[PlacedShown], start: int, end: int) -> frozenset[Shown]:
    """What an excerpt shows; one without a span shows that nothing is to be marked."""
    inside = {each.shown for each in placed if start <= each.start and each.end <= end}
    if not any(each.kind is ShownKind.LABEL for each in inside):
        inside.add(Shown(ShownKind.NOTHING))
    return frozenset(inside)


def _labels(gold: Sequence[Mark]) -> Iterator[PlacedShown]:
    for mark in gold:
        yield PlacedShown(mark.start, mark.end, Shown(ShownKind.LABEL, mark.label))


def _mistakes(page: ReviewedPage, gold: Sequence[Mark], known: Set[str]) -> Iterator[PlacedShown]:
    """What the experts had to do to the model's suggestions; of a page that failed nothing is known."""
    if page.failure is not None:
        return
    actions = infer_actions(gold, [each for each in page.suggested if each.label in known])
    for mark in actions.added:
        yield PlacedShown(mark.start, mark.end, Shown(ShownKind.MISTAKE, ADDED, (mark.label,)))
    for decision in actions.decisions:
        for name, labels in _names(decision):
            place = decision.gold or decision.suggestion
            yield PlacedShown(place.start, place.end, Shown(ShownKind.MISTAKE, name, labels))


def _names(decision: Decision) -> Iterator[tuple[Fate, tuple[str, ...]]]:
    """What was wrong with a suggestion; two things where both borders and label were."""
    if decision.gold is None:
        yield decision.fate, (decision.suggestion.label,)
        return
    if decision.fate in (Fate.LABEL_CHANGED, Fate.BOTH_CHANGED):
        yield Fate.LABEL_CHANGED, (decision.suggestion.label, decision.gold.label)
    if decision.fate in (Fate.BORDER_MOVED, Fate.BOTH_CHANGED):
        yield Fate.BORDER_MOVED, (decision.gold.label,)


def _habits(page: ReviewedPage, gold: Sequence[Mark]) -> Iterator[PlacedShown]:
    """Of the gold alone: an example shows them by a span that keeps them."""
    quotes = _quotes_by_place(page)
    for place in sorted({(mark.start, mark.end) for mark in gold}):
        written = page.text[slice(*place)]
        found = set(habits_of_lines(written))
        for quote in quotes.get(place, ()):
            found.update(habits_of(quote, written))
        for habit in sorted(found):
            yield PlacedShown(*place, Shown(ShownKind.HABIT, habit))


def _quotes_by_place(page: ReviewedPage) -> Mapping[tuple[int, int], list[str]]:
    quotes: dict[tuple[int, int], list[str]] = {}
    for quote in page.quotes:
        if quote.place is not None:
            quotes.setdefault(quote.place, []).append(quote.quote)
    return quotes
