"""What experts did to the suggestions, as the spans before and after tell, and what it cost them.

Argilla keeps the spans that an expert submits and no gestures, so a suggestion that was deleted and marked
anew a character further on is one whose border was moved.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from math import isfinite
from typing import Final

from preannotation_assets.errors import SettingsError
from preannotation_assets.evaluation.matching import pair_marks
from preannotation_assets.evaluation.pages import SuggestedSpan, place_of
from preannotation_assets.extraction.segments import Mark

__all__ = ["ADDED", "ActionCosts", "Decision", "Fate", "PageActions", "actions_saved", "infer_actions"]

ADDED: Final = "added"
"""Beside the values of ``Fate``, in counts: a span that no suggestion was near."""


class Fate(StrEnum):
    """What an expert made of a suggestion. ``BOTH_CHANGED`` has other borders and another label."""

    KEPT = "kept"
    BORDER_MOVED = "border_moved"
    LABEL_CHANGED = "label_changed"
    BOTH_CHANGED = "both_changed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Decision:
    """A suggestion, and what became of it; ``gold`` is the span it is now, None where it was deleted."""

    suggestion: SuggestedSpan
    fate: Fate
    gold: Mark | None

    @property
    def is_kept(self) -> bool:
        """Whether it was right as it stood."""
        return self.fate is Fate.KEPT


@dataclass(frozen=True, slots=True)
class PageActions:
    """A decision for each suggestion of a page, in the order of the page, and the spans added to them."""

    decisions: tuple[Decision, ...]
    added: tuple[Mark, ...]

    @property
    def counts(self) -> Counter[str]:
        """How often what was done, by the values of ``Fate`` and ``ADDED``."""
        counted: Counter[str] = Counter(decision.fate for decision in self.decisions)
        if self.added:
            counted[ADDED] = len(self.added)
        return counted


def infer_actions(gold: Sequence[Mark], suggested: Sequence[SuggestedSpan]) -> PageActions:
    """What must have been done to the suggestions for the gold to be there.

    A suggestion becomes the span that is equal to it, else one with its borders, else one with its label that
    it overlaps, else any that it overlaps; every span comes of one suggestion at most.
    """
    pairing = pair_marks(gold, suggested, lambda one, other: _STEPS[_fate_of(one, other)])
    decisions = [
        *(Decision(suggestion, _fate_of(mark, suggestion), mark) for mark, suggestion in pairing.pairs),
        *(Decision(suggestion, Fate.DELETED, None) for suggestion in pairing.spurious),
    ]
    decisions.sort(key=lambda decision: place_of(decision.suggestion))
    return PageActions(tuple(decisions), pairing.missed)


def _fate_of(gold: Mark, suggestion: Mark) -> Fate:
    same_borders = (gold.start, gold.end) == (suggestion.start, suggestion.end)
    match same_borders, gold.label == suggestion.label:
        case True, True:
            return Fate.KEPT
        case True, False:
            return Fate.LABEL_CHANGED
        case False, True:
            return Fate.BORDER_MOVED
        case _:
            return Fate.BOTH_CHANGED


_STEPS: Final = {Fate.KEPT: 0, Fate.LABEL_CHANGED: 1, Fate.BORDER_MOVED: 2, Fate.BOTH_CHANGED: 3}


@dataclass(frozen=True, slots=True)
class ActionCosts:
    """What an expert does by hand for a span, in clicks and strokes of Argilla's page.

    To ``add`` is to choose the label and to draw over the text; to ``delete`` is a click on the mark's cross;
    to ``change_label`` is to open the mark's menu and to choose. A border cannot be dragged: to ``redraw`` is
    to choose the label and to draw anew, which takes away the mark below it. What is the same with and
    without suggestions is left out: to open a page, to read it, to submit it.
    """

    add: float = 2.0
    delete: float = 1.0
    change_label: float = 2.0
    redraw: float = 2.0
    keep: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "ActionCosts":
        """Costs as a setting has them: name=number with commas between; what is left out has its default.

        Raises:
            SettingsError: a name is unknown, or a number is none or negative.
        """
        names = [field.name for field in fields(cls)]
        given: dict[str, float] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, number = (piece.strip() for piece in part.partition("="))
            cost = _number(number)
            if name not in names or name in given or cost is None:
                raise SettingsError(
                    "the costs of actions are malformed",
                    f"write name=number with commas between; the names are {', '.join(names)}",
                )
            given[name] = cost
        return cls(**given)

    def total(self, counts: Mapping[str, int]) -> float:
        """What was done, by ``PageActions.counts``, in actions."""
        each: Mapping[str, float] = {
            Fate.KEPT: self.keep,
            Fate.LABEL_CHANGED: self.change_label,
            Fate.BORDER_MOVED: self.redraw,
            Fate.BOTH_CHANGED: self.redraw,
            Fate.DELETED: self.delete,
            ADDED: self.add,
        }
        return sum(each[name] * count for name, count in counts.items())

    def from_nothing(self, gold: int) -> float:
        """What it takes to mark so many spans where nothing is suggested."""
        return self.add * gold


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) and number >= 0 else None


def actions_saved(with_suggestions: float, from_nothing: float) -> float | None:
    """The share of the actions that the suggestions save; below 0 where they cost more than they save.

    None where there was nothing to mark.
    """
    return 1 - with_suggestions / from_nothing if from_nothing > 0 else None
