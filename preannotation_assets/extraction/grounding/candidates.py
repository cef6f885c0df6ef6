"""Where on the page a quote may stand, and what each place costs."""

from collections.abc import Iterable, Sequence
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

_REPAIR_WEIGHT = 2.0
_SURE = 0.1
_BAND = 0.6
_DOUBTFUL = 0.5
_SURFACE_SIMILARITY = 0.1
_ACRONYM = 3
_SHORT_PAGE = 40
# Beyond this product of a quote's and a page's letters (a quote of 2,000 on a page of 100,000) quotes
# are only found by their exact letters: the states of one search would take 25 MB and more.
_MOST_CELLS = 200_000_000


class Candidate(NamedTuple):
    """A place for a quote: ``text[start:end]``, how it matches, and what taking it costs.

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
    """Finds the places of a quote: as it is written, then with repairs, then in parts.

    A way that needs more repairs is only gone when those before it have not given ``wanted`` places.
    """
    exact = _candidates(page, quote, exact_hits(page, quote.letters))
    sure = [candidate for candidate in exact.candidates if candidate.cost <= _SURE]
    if len(sure) >= wanted:
        return Finding(sure, False)
    candidates = exact.candidates
    if len(candidates) >= wanted or _is_too_long(page, quote):
        return Finding(candidates, exact.refused)
    searched = pattern(page, quote.letters)
    similar = similar_hits(page, quote, searched, wanted, bool(candidates))
    best = min((hit.price for hit in similar.hits), default=_DOUBTFUL) if not candidates else 0.0
    candidates = _merged(candidates, _candidates(page, quote, similar.hits).candidates)
    if len(candidates) < wanted:
        candidates = _merged(candidates, _candidates(page, quote, inner_hits(page, quote, similar.begun)).candidates)
    if not candidates or best >= _DOUBTFUL:
        candidates = _near_best(_merged(candidates, _parts(page, quote, searched)))
    return Finding(candidates, exact.refused or similar.value_changed)


def _is_too_long(page: Page, quote: PreparedQuote) -> bool:
    length, available = len(quote.letters), len(page.letters)
    return length > 2 * available + _SHORT_PAGE or length * available > _MOST_CELLS


def _parts(page: Page, quote: PreparedQuote, searched: Pattern) -> list[Candidate]:
    found = [
        _candidate(page, quote, dress(page.text, quote, *page.offsets(hit.first, hit.last)), hit.price, 0.0)
        for hit in gap_hits(page, quote, searched)
    ]
    for core in core_hits(page, quote):
        found.extend(_candidates(page, core.quote, [core.hit]).candidates)
    return found


def _near_best(candidates: Sequence[Candidate]) -> list[Candidate]:
    best = min((candidate.cost for candidate in candidates), default=0.0)
    return [candidate for candidate in candidates if candidate.cost <= best + _BAND]


@dataclass(frozen=True, slots=True)
class _Candidates:
    candidates: list[Candidate]
    refused: bool


def _candidates(page: Page, quote: PreparedQuote, hits: Iterable[Hit]) -> _Candidates:
    found: list[Candidate] = []
    refused = False
    for hit in hits:
        start, end = page.offsets(hit.first, hit.last)
        written = page.text[start:end]
        if quote.has_digits and (
            cuts_number(page.text, start, end)
            or not same_values(quote.core, written, page.text[max(0, start - 2) : end + 2], page.table)
        ):
            refused = True
            continue
        if _is_common_word(quote, written):
            continue
        surface = surface_price(quote.core, written)
        place = dress(page.text, quote, start, end)
        found.append(_candidate(page, quote, place, hit.price, surface))
    return _Candidates(found, refused)


def _is_common_word(quote: PreparedQuote, written: str) -> bool:
    """Whether an acronym has met a word that is spelled like it: US and us."""
    return len(quote.letters) <= _ACRONYM and quote.core.isupper() and written.islower()


def _candidate(
    page: Page, quote: PreparedQuote, place: tuple[int, int], price: float, surface: float
) -> Candidate:
    start, end = place
    if price:
        match = Match.FUZZY
    else:
        match = Match.EXACT if page.text[start:end] == quote.text else Match.FOLDED
    length = len(quote.letters)
    weight = price + _SURFACE_SIMILARITY * surface
    similarity = 1.0 if match is Match.EXACT else length / (length + weight)
    return Candidate(start, end, _REPAIR_WEIGHT * price + surface, match, similarity)


def _merged(first: Iterable[Candidate], more: Iterable[Candidate]) -> list[Candidate]:
    """Candidates of both, the cheaper of overlapping ones, in the order of their places."""
    taken = Intervals()
    cheapest_first = sorted([*first, *more], key=lambda candidate: (candidate.cost, candidate))
    return sorted(candidate for candidate in cheapest_first if taken.add(candidate.start, candidate.end))
