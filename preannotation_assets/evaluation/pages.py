"""The plain data of an evaluation: a page that experts have reviewed, beside what the model said of it.

All offsets are Unicode code points of the page, every ``end`` exclusive.
"""

from dataclasses import dataclass

from preannotation_assets.extraction.segments import Mark
from preannotation_assets.extraction.spans import QuoteOutcome

__all__ = ["GivenQuote", "PageKey", "ReviewedPage", "SuggestedSpan", "place_of"]

PageKey = tuple[str, int]
"""doc_id and page_num."""


@dataclass(frozen=True, slots=True)
class SuggestedSpan(Mark):
    """A published span. ``confidence`` is in [0, 1], or None where it is unknown."""

    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class GivenQuote:
    """A quote of the model and what became of it; ``place`` is start and end where it was found."""

    label: str
    quote: str
    outcome: QuoteOutcome
    place: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class ReviewedPage:
    """A page, the spans that count as right on it, and what was published for the same text.

    ``quotes`` are all quotes of the model, those that became suggestions too. ``failure`` says why the page
    failed; None where it did not.
    """

    doc_id: str
    page_num: int
    text: str
    gold: tuple[Mark, ...]
    suggested: tuple[SuggestedSpan, ...]
    quotes: tuple[GivenQuote, ...] = ()
    failure: str | None = None


def place_of(mark: Mark) -> tuple[int, int, str]:
    """What makes two marks the same."""
    return mark.start, mark.end, mark.label
