"""Where on the page a quote may stand, and what each place costs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from preannotation_assets.extraction.spans import Match

from .hits import Hit, exact_hits, inner_hits, similar_hits
from .page import Page
from .parts import core_hits, gap_hits
from .quotes import PreparedQuote
from .surfaces import dress, same_values, surface_price

__all__ = ["Candidate", "Finding", "find"]

_REPAIR_WEIGHT = 2.0
_SURE = 0.1
_BAND = 0.6
_ACRONYM = 3


@dataclass(frozen=True, slots=True)
class Candidate:
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
    found = _candidates(page, quote, exact_hits(page, quote.letters))
    value_changed = found.refused
    sure = [candidate for candidate in found.candidates if candidate.cost <= _SURE]
    if len(sure) >= wanted:
        return Finding(sure, False)
    candidates = found.candidates
    if len(candidates) < wanted:
        similar = similar_hits(page, quote, wanted, bool(candidates))
        value_changed |= similar.value_changed
        candidates = _merged(candidates, _candidates(page, quote, similar.hits).candidates)
    if len(candidates) < wanted:
        candidates = _merged(candidates, _candidates(page, quote, inner_hits(page, quote)).candidates)
    if not candidates:
        candidates = _parts(page, quote)
    return Finding(candidates, value_changed)


def _parts(page, quote):
    found = list(_candidates(page, quote, gap_hits(page, quote)).candidates)
    for core in core_hits(page, quote):
        found.extend(_candidates(page, core.core, [core.hit]).candidates)
    if not found:
        return found
    best = min(c.cost for c in found)
    return _merged([c for c in found if c.cost <= best + _BAND], [])


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
        if quote.has_digits and not same_values(quote.core, written, page.text[max(0, start - 2) : end + 2], page.table):
            refused = True
            continue
        if _is_common_word(quote, written):
            continue
        surface = surface_price(quote.core, written)
        start, end = dress(page.text, quote, start, end)
        found.append(_candidate(page, quote, start, end, hit.price, surface))
    return _Candidates(found, refused)


def _is_common_word(quote: PreparedQuote, written: str) -> bool:
    """Whether an acronym has met a word that is spelled like it: US and us."""
    return len(quote.letters) <= _ACRONYM and quote.core.isupper() and written.islower()


def _candidate(page, quote, start, end, price, surface):
    if page.text[start:end] == quote.text:
        match = Match.EXACT
    else:
        match = Match.FUZZY if price else Match.FOLDED
    length = len(quote.letters)
    similarity = 1.0 if match is Match.EXACT else length / (length + price + 0.1*surface)
    return Candidate(start, end, _REPAIR_WEIGHT * price + surface, match, similarity)


def _merged(first: Iterable[Candidate], more: Iterable[Candidate]) -> list[Candidate]:
    """Candidates of both, the cheaper of overlapping ones, in the order of their places."""
    kept: list[Candidate] = []
    for candidate in sorted([*first, *more], key=lambda c: (c.cost, c.start, c.end)):
        if all(candidate.end <= other.start or other.end <= candidate.start for other in kept):
            kept.append(candidate)
    return sorted(kept, key=lambda c: (c.start, c.end))
