"""At which stage a span was lost that an expert had to add."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

from rapidfuzz import fuzz

from preannotation_assets.evaluation.matching import shared_characters
from preannotation_assets.evaluation.pages import GivenQuote, ReviewedPage
from preannotation_assets.extraction.page_failures import PageFailure
from preannotation_assets.extraction.segments import Mark
from preannotation_assets.extraction.spans import QuoteOutcome

__all__ = ["Loss", "losses_of"]

LEAST_SIMILARITY: Final = 80.0
"""Of a quote without a place and a span, in per cent of their characters (rapidfuzz's ratio)."""


class Loss(StrEnum):
    """Where a span was lost, first stage first."""

    PAGE_FAILED = "page_failed"
    NOT_ANSWERED = "not_answered"
    NOT_GROUNDED = "not_grounded"
    DROPPED = "dropped"
    CUT_BY_RULE = "cut_by_rule"


def losses_of(page: ReviewedPage, added: Sequence[Mark]) -> tuple[Loss, ...]:
    """A stage for each of the spans that no suggestion was near.

    A quote with a place explains a span that it overlaps, one without a place a span whose text is much like
    it; one of the same label goes before others. Each quote explains one span.
    """
    if page.failure is not None:
        cut = page.failure == PageFailure.TOO_MANY_SPANS
        return (Loss.CUT_BY_RULE if cut else Loss.PAGE_FAILED,) * len(added)
    left = [quote for quote in page.quotes if quote.outcome is not QuoteOutcome.KEPT]
    found = []
    for mark in added:
        best = max(_explanations(page.text, mark, left), default=None)
        if best is None:
            found.append(Loss.NOT_ANSWERED)
            continue
        found.append(_stage(left.pop(-best[-1]).outcome))
    return tuple(found)


def _explanations(
    text: str, mark: Mark, quotes: Sequence[GivenQuote]
) -> Iterator[tuple[bool, bool, float, int]]:
    """How well each quote explains a span: better is greater, and of equals the first quote."""
    marked = _plain(text[mark.start : mark.end])
    for number, quote in enumerate(quotes):
        if quote.place is not None:
            fit = float(shared_characters(Mark(*quote.place, quote.label), mark))
        else:
            fit = fuzz.ratio(_plain(quote.quote), marked, score_cutoff=LEAST_SIMILARITY)
        if fit > 0:
            yield quote.label == mark.label, quote.place is not None, fit, -number


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _stage(outcome: QuoteOutcome) -> Loss:
    # No default: mypy refuses a member that is in no case.
    match outcome:
        case QuoteOutcome.INVALID_VALUE | QuoteOutcome.UNKNOWN_LABEL:
            return Loss.CUT_BY_RULE
        case (
            QuoteOutcome.EMPTY
            | QuoteOutcome.NOT_FOUND
            | QuoteOutcome.VALUE_CHANGED
            | QuoteOutcome.ALREADY_TAKEN
            | QuoteOutcome.SEARCH_CUT_OFF
        ):
            return Loss.NOT_GROUNDED
        case (
            QuoteOutcome.KEPT
            | QuoteOutcome.EXACT_DUPLICATE
            | QuoteOutcome.SEEN_BY_TWO_CHUNKS
            | QuoteOutcome.CUT_BY_BORDER
            | QuoteOutcome.OVERLAP
        ):
            return Loss.DROPPED
