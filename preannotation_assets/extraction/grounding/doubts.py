"""Repaired quotes that are given up, because of where the other quotes stand.

A quote that had to be repaired may be a name that is not on the page, put to one that is like it. Two things
tell them apart better than the letters do: a mention is quoted in one spelling, and quotes keep the order of
the page.
"""

from collections.abc import Sequence
from typing import Final, TypeGuard

from preannotation_assets.extraction.spans import Grounding, GroundingResult, Match, QuoteOutcome, Rejection

__all__ = ["without_doubtful"]

# Less like the quote than that, a place must be within so many code points of where the order wants it.
_SURE: Final = 0.94
_STRAY: Final = 100


def without_doubtful(results: Sequence[GroundingResult], in_order: bool) -> list[GroundingResult]:
    """The results, with rejections for those that are doubtful.

    A repaired quote is doubtful where another quote, of another label then, stands without repairs; and, if
    it is not much like its place, where that is out of order.

    Args:
        results: one result a quote, in the order of the quotes.
        in_order: whether the quotes follow the page.
    """
    kept = list(results)
    repaired = {index: result for index, result in enumerate(results) if _is_repaired(result)}
    if not repaired:
        return kept
    spoken_for = {(result.start, result.end) for result in results if _is_unrepaired(result)}
    doubtful = {index for index, result in repaired.items() if (result.start, result.end) in spoken_for}
    unlike = [index for index, result in repaired.items() if result.similarity < _SURE]
    if in_order and unlike:
        ways = _ways_from_order(results)
        doubtful.update(index for index in unlike if ways[index] > _STRAY)
    for index in doubtful:
        kept[index] = Rejection(QuoteOutcome.NOT_FOUND)
    return kept


def _is_repaired(result: GroundingResult) -> TypeGuard[Grounding]:
    return isinstance(result, Grounding) and result.match is Match.FUZZY


def _is_unrepaired(result: GroundingResult) -> TypeGuard[Grounding]:
    return isinstance(result, Grounding) and result.match is not Match.FUZZY


def _ways_from_order(results: Sequence[GroundingResult]) -> list[int]:
    """How far each place is from between those of the unrepaired quotes before and behind its own."""
    starts = [result.start if _is_unrepaired(result) else None for result in results]
    befores, behinds = _last_known(starts), _last_known(starts[::-1])[::-1]
    return [
        _way(result.start, before, behind) if isinstance(result, Grounding) else 0
        for result, before, behind in zip(results, befores, behinds, strict=True)
    ]


def _way(start: int, before: int | None, behind: int | None) -> int:
    return max(0, before - start if before is not None else 0, start - behind if behind is not None else 0)


def _last_known(starts: Sequence[int | None]) -> list[int | None]:
    known: list[int | None] = []
    last: int | None = None
    for start in starts:
        last = start if start is not None else last
        known.append(last)
    return known
