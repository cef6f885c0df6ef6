"""Repaired quotes that are given up, because of where the other quotes stand.

A quote that had to be repaired may be a name that is not on the page, put to one that is like it. Two things
tell them apart better than the letters do: a mention is quoted in one spelling, and quotes keep the order of
the page.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from preannotation_assets.extraction.spans import Grounding, GroundingResult, Match, QuoteOutcome, Rejection

__all__ = ["without_doubtful"]

# Less like the quote than that, a place must be within so many code points of where the order wants it.
_SURE: Final = 0.94
_STRAY: Final = 100
_NOT_FOUND: Final = Rejection(QuoteOutcome.NOT_FOUND)


def without_doubtful(results: Sequence[GroundingResult], in_order: bool) -> list[GroundingResult]:
    """The results, with rejections for those that are doubtful.

    A repaired quote is doubtful where another quote, of another label then, stands without repairs; and, if
    it is not much like its place, where that is out of order.

    Args:
        results: one result a quote, in the order of the quotes.
        in_order: whether the quotes follow the page.
    """
    kept = list(results)
    fuzzy = Match.FUZZY
    grounded = [(index, result) for index, result in enumerate(results) if isinstance(result, Grounding)]
    repaired = {index: result for index, result in grounded if result.match is fuzzy}
    if not repaired:
        return kept
    spoken_for = {(result.start, result.end) for _, result in grounded if result.match is not fuzzy}
    doubtful = {index for index, result in repaired.items() if (result.start, result.end) in spoken_for}
    unlike = [index for index, result in repaired.items() if result.similarity < _SURE]
    if in_order and unlike:
        known = [(index, result.start) for index, result in grounded if result.match is not fuzzy]
        doubtful.update(index for index in unlike if _way(index, repaired[index].start, known) > _STRAY)
    for index in doubtful:
        kept[index] = _NOT_FOUND
    return kept


def _way(quote: int, start: int, known: Sequence[tuple[int, int]]) -> int:
    """How far a place is from between those of the quotes before and behind its own that are known."""
    behind = bisect_left(known, (quote,))
    ways = [0]
    if behind > 0:
        ways.append(known[behind - 1][1] - start)
    if behind < len(known):
        ways.append(start - known[behind][1])
    return max(ways)
