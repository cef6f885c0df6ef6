"""Where on the page a quote may stand, and what each place costs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from preannotation_assets.extraction.spans import Match

from .cores import core_hits
from .gaps import gap_hits
from .hits import Hit, exact_hits, inner_hits, similar_hits
from .intervals import Intervals
from .page import Page
from .quotes import PreparedQuote
from .search import Pattern, pattern
from .surfaces import cuts_number, dress, same_values, surface_price

__all__ = ["Candidate", "Finding", "find"]

# A letter weighs twice as much as anything that folding hides, and as a long step back in the order.
_REPAIR_WEIGHT = 2.0
_SURFACE_SIMILARITY = 0.1
_NOT_VERBATIM = 0.1
# Up to this cost a place is as good as the exact one: it differs in its layout only.
_SURE = 0.1
# From this price on it is worth looking whether only a part of the quote stands on the page.
_DOUBTFUL = 0.5
_BAND = 0.6
# Where the quote also stands unrepaired, another place must be nearly the same.
_COPY_PER_LETTER = 0.07
_UNLIMITED = float("inf")
_ACRONYM = 3
_AROUND = 2
_SHORT_PAGE = 40
# Beyond this product of a quote's and a page's letters (a quote of 2,000 on a page of 100,000) quotes are
# only found by their exact letters: the states of one search would take 25 MB and more.
_MOST_CELLS = 200_000_000


class Candidate(NamedTuple):
    """A place for a quote: ``text[start:end]``, what taking it costs, how it matches.

    ``similarity`` is 1.0 for an exact match and less for every repair.
    """

    start: int
    end: int
    cost: float
    match: Match
    similarity: float


@dataclass(frozen=True, slots=True)
class Finding:
    """All places of one quote in ascending order; whether one was refused for its changed value only."""

    candidates: Sequence[Candidate]
    value_changed: bool


def find(page: Page, quote: PreparedQuote, wanted: int) -> Finding:
    """Finds the places of a quote: verbatim, folded, with repairs, inside words, in parts.

    Each of these is only tried, and its places only offered, when those before it are fewer than wanted.
    """
    exact = exact_hits(page, quote.letters)
    candidates = _grounded(page, quote, exact)
    verbatim = [candidate for candidate in candidates if candidate.match is Match.EXACT]
    sure = [candidate for candidate in candidates if candidate.cost <= _SURE]
    for best in (verbatim, sure):
        if len(best) >= wanted:
            return Finding(best, False)
    value_changed = bool(exact) and not candidates and quote.has_digits
    if len(candidates) >= wanted or _is_too_long(page, quote):
        return Finding(candidates, value_changed)
    searched = pattern(page, quote.letters)
    most = _COPY_PER_LETTER * len(quote.letters) if candidates else _UNLIMITED
    similar = similar_hits(page, quote, searched, wanted, most)
    price = 0.0 if candidates else min((hit.price for hit in similar.hits), default=_DOUBTFUL)
    candidates = _united(candidates, _grounded(page, quote, similar.hits))
    if len(candidates) < wanted:
        candidates = _united(candidates, _grounded(page, quote, inner_hits(page, quote, similar.begun)))
    if not candidates or price >= _DOUBTFUL:
        candidates = _near_best(_united(candidates, _parts(page, quote, searched)))
    return Finding(candidates, value_changed or similar.value_changed)


def _is_too_long(page: Page, quote: PreparedQuote) -> bool:
    length, available = len(quote.letters), len(page.letters)
    return length > 2 * available + _SHORT_PAGE or length * available > _MOST_CELLS


def _grounded(page: Page, quote: PreparedQuote, hits: Iterable[Hit]) -> list[Candidate]:
    """The candidates of the hits whose written form is that of the quote too."""
    found: list[Candidate] = []
    for hit in hits:
        start, end = page.offsets(hit.first, hit.last)
        written = page.text[start:end]
        if _is_common_word(quote, written) or (quote.has_digits and not _same_value(page, quote, start, end)):
            continue
        surface = surface_price(quote.core, written)
        place = dress(page.text, quote, start, end) if quote.prefix or quote.suffix else (start, end)
        found.append(_candidate(page, quote, place, hit.price, surface))
    return found


def _is_common_word(quote: PreparedQuote, written: str) -> bool:
    """Whether an acronym has met a word that is spelled like it: US and us."""
    return len(quote.letters) <= _ACRONYM and quote.core.isupper() and written.islower()


def _same_value(page: Page, quote: PreparedQuote, start: int, end: int) -> bool:
    if cuts_number(page.text, start, end):
        return False
    around = page.text[max(0, start - _AROUND) : end + _AROUND]
    return same_values(quote, page.text[start:end], around, page.table)


def _candidate(
    page: Page, quote: PreparedQuote, place: tuple[int, int], price: float, surface: float
) -> Candidate:
    start, end = place
    if not price and page.text[start:end] == quote.text:
        return Candidate(start, end, surface, Match.EXACT, 1.0)
    match = Match.FUZZY if price else Match.FOLDED
    length = len(quote.letters)
    similarity = length / (length + price + _SURFACE_SIMILARITY * (surface + _NOT_VERBATIM))
    return Candidate(start, end, _REPAIR_WEIGHT * price + surface, match, similarity)


def _parts(page: Page, quote: PreparedQuote, searched: Pattern) -> Iterator[Candidate]:
    for hit in gap_hits(page, quote, searched):
        start, end = page.offsets(hit.first, hit.last)
        yield _candidate(page, quote, dress(page.text, quote, start, end), hit.price, 0.0)
    for core in core_hits(page, quote):
        yield from _grounded(page, core.quote, [core.hit])


def _near_best(candidates: Sequence[Candidate]) -> list[Candidate]:
    best = min((candidate.cost for candidate in candidates), default=0.0)
    return [candidate for candidate in candidates if candidate.cost <= best + _BAND]


def _united(candidates: Iterable[Candidate], more: Iterable[Candidate]) -> list[Candidate]:
    """Candidates of both, the cheapest of overlapping ones, in the order of their places."""
    taken = Intervals()
    cheapest_first = sorted([*candidates, *more], key=lambda candidate: (candidate.cost, candidate))
    return sorted(candidate for candidate in cheapest_first if taken.add(candidate.start, candidate.end))
