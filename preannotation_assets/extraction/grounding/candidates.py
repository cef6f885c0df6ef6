"""Where on the page a quote may stand, and what each place costs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from preannotation_assets.extraction.spans import Match

from .cores import core_hits
from .gaps import gap_hits
from .hits import bordered, inner_hits, letters_found, similar_hits
from .intervals import FEWEST_OVERLAPPING, Intervals
from .page import Page
from .quotes import PreparedQuote
from .search import Pattern, level_steps, pattern
from .stems import ending_hits, stem_hits
from .surfaces import cuts_number, dress, numerals, same_numerals, same_values, surface_price
from .work import ChunkWork, Work, WorkSpentError

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
# What stands alone is sooner meant than what is glued, a number to letters or a word to a number.
_GLUED = 0.05
_UNLIMITED = float("inf")
# Looked up once: members of an enumeration are slow to come by, and every place has one.
_EXACT, _FOLDED, _FUZZY = Match.EXACT, Match.FOLDED, Match.FUZZY
_ACRONYM = 3
_CHEAPEST = attrgetter("cost", "start", "end", "match", "similarity")
_PLACE = attrgetter("start")
_AROUND = 2
_SHORT_PAGE = 40
# What it takes to look at a place: the least, a letter, a symbol at an edge.
_PLACE_STEPS = 5
_LETTERS_A_STEP = 4
_SQUARE_LETTERS_A_STEP = 30_000
_AFFIXES_A_STEP = 5


@dataclass(slots=True)
class Candidate:
    """A place for a quote: ``as_given[start:end]`` of the page, what taking it costs, how it matches.

    ``similarity`` is 1.0 for an exact match and less for every repair.
    """

    start: int
    end: int
    cost: float
    match: Match
    similarity: float


@dataclass(slots=True)
class Finding:
    """All places of one quote in ascending order.

    ``others`` are all of them and those that are less like the quote, where ``candidates`` are enough.
    ``value_changed`` says that a place was refused for its changed value only, ``cut_off`` that the search
    was given up because it took too much work.
    """

    candidates: Sequence[Candidate]
    value_changed: bool
    cut_off: bool = False
    others: Sequence[Candidate] = ()

    @property
    def all(self) -> Sequence[Candidate]:
        """The others, or the candidates where they are all."""
        return self.others or self.candidates


def find(page: Page, quote: PreparedQuote, wanted: int, work: ChunkWork) -> Finding:
    """Finds the places of a quote: verbatim, folded, with repairs, inside words, in parts.

    Each of these is only tried, and its places only offered, when those before it are fewer than wanted.
    Where repairs take more work than there is, the places without repairs are all that is offered.
    """
    work.exact.begin_quote()
    letters = quote.letters
    length = len(letters)
    try:
        found = letters_found(page, letters, work.exact)
        exact = bordered(page, found, length) if found else found
        candidates = (
            _grounded(page, quote, [(first, first + length, 0.0) for first in exact], work.exact)
            if exact
            else []
        )
    except WorkSpentError:
        return Finding((), False, cut_off=True)
    best = [candidate for candidate in candidates if candidate.match is _EXACT]
    if len(best) < wanted:
        best = [candidate for candidate in candidates if candidate.cost <= _SURE]
    if len(best) >= wanted:
        if len(exact) < len(found):
            candidates = _with_inflected(page, quote, candidates, found, work.exact)
        return Finding(best, False, False, candidates if len(candidates) > len(best) else ())
    value_changed = bool(exact) and not candidates and quote.has_digits
    if len(candidates) >= wanted or length > 2 * len(page.letters) + _SHORT_PAGE:
        return Finding(candidates, value_changed)
    work.repairs.begin_quote()
    try:
        repaired = _with_repairs(page, quote, candidates, wanted, work.repairs)
    except WorkSpentError:
        return Finding(candidates, value_changed, cut_off=True)
    return Finding(repaired.candidates, value_changed or repaired.value_changed)


def _with_inflected(
    page: Page,
    quote: PreparedQuote,
    candidates: list[Candidate],
    found: Sequence[int],
    work: Work,
) -> list[Candidate]:
    try:
        hits = list(ending_hits(page, quote, found, work))
        return _united(candidates, _grounded(page, quote, hits, work)) if hits else candidates
    except WorkSpentError:
        return candidates


def _with_repairs(
    page: Page, quote: PreparedQuote, candidates: list[Candidate], wanted: int, work: Work
) -> Finding:
    """The candidates given, and those with repairs, inside words and in parts."""
    work.spend(level_steps(page, len(quote.letters)))
    searched = pattern(page, quote.letters)
    most = _COPY_PER_LETTER * len(quote.letters) if candidates else _UNLIMITED
    similar = similar_hits(page, quote, searched, wanted, most, work)
    price = 0.0 if candidates else min((hit.price for hit in similar.hits), default=_DOUBTFUL)
    if similar.hits:
        candidates = _united(candidates, _grounded(page, quote, similar.hits, work))
    if len(candidates) < wanted:
        inner = list(inner_hits(page, quote, similar.prefixes[-1], work))
        candidates = _united(candidates, _grounded(page, quote, inner, work)) if inner else candidates
    if not candidates:
        inflected = list(stem_hits(page, quote, work))
        candidates = _united((), _grounded(page, quote, inflected, work)) if inflected else candidates
    if not candidates or price >= _DOUBTFUL:
        candidates = _near_best(_united(candidates, _parts(page, quote, searched, similar.prefixes, work)))
    return Finding(candidates, similar.value_changed)


def _grounded(
    page: Page, quote: PreparedQuote, hits: Iterable[tuple[int, int, float]], work: Work
) -> list[Candidate]:
    """The candidates of the hits whose written form is that of the quote too."""
    found: list[Candidate] = []
    steps = _place_steps(quote)
    text, core, has_digits, has_glued = page.text, quote.core, quote.has_digits, page.has_glued
    is_dressed = len(core) < len(quote.text)
    is_acronym = len(quote.letters) <= _ACRONYM and core.isupper()
    for first, last, price in hits:
        work.spend(steps)
        start, end = page.offsets(first, last)
        written = text[start:end]
        if is_acronym and written.islower():
            continue  # a common word that is spelled like it: US and us
        if has_digits and not _same_value(page, quote, start, end):
            continue
        if price and not _has_numerals(page, quote, start, end):
            continue
        surface = 0.0 if written == core else surface_price(core, written)
        if (price or has_glued) and page.is_glued_piece(first, last):
            surface += _GLUED
        if is_dressed:
            start, end = dress(text, quote, start, end)
        found.append(_candidate(page, quote, start, end, price, surface))
    return found


def _has_numerals(page: Page, quote: PreparedQuote, start: int, end: int) -> bool:
    """Whether a place, to the end of its last word, has every Roman numeral of the quote."""
    numbered = numerals(quote.text)
    if not numbered:
        return True
    while end < len(page.text) and page.text[end].isalnum():
        end += 1
    return same_numerals(numbered, page.text[start:end])


def _place_steps(quote: PreparedQuote) -> float:
    letters, affixes = len(quote.core), len(quote.text) - len(quote.core)
    return (
        _PLACE_STEPS
        + letters / _LETTERS_A_STEP
        + letters * letters / _SQUARE_LETTERS_A_STEP
        + affixes / _AFFIXES_A_STEP
    )


def _same_value(page: Page, quote: PreparedQuote, start: int, end: int) -> bool:
    if cuts_number(page.text, start, end):
        return False
    around = page.text[max(0, start - _AROUND) : end + _AROUND]
    return same_values(quote, page.text[start:end], around)


def _candidate(
    page: Page, quote: PreparedQuote, start: int, end: int, price: float, surface: float
) -> Candidate:
    if page.is_read_otherwise:
        start, end = page.written_at(start, end)
    if not price and page.as_given[start:end] == quote.verbatim:
        return Candidate(start, end, surface, _EXACT, 1.0)
    length = len(quote.letters)
    similarity = length / (length + price + _SURFACE_SIMILARITY * (surface + _NOT_VERBATIM))
    cost = _REPAIR_WEIGHT * price + surface
    return Candidate(start, end, cost, _FUZZY if price else _FOLDED, similarity)


def _parts(
    page: Page, quote: PreparedQuote, searched: Pattern, prefixes: Sequence[int], work: Work
) -> Iterator[Candidate]:
    for hit in gap_hits(page, quote, searched, prefixes, work):
        work.spend(_place_steps(quote))
        start, end = page.offsets(hit.first, hit.last)
        if _has_numerals(page, quote, start, end):
            yield _candidate(page, quote, *dress(page.text, quote, start, end), hit.price, 0.0)
    for core in core_hits(page, quote, work):
        if _has_numerals(page, quote, *page.offsets(core.hit.first, core.hit.last)):
            yield from _grounded(page, core.quote, [core.hit], work)


def _near_best(candidates: Sequence[Candidate]) -> list[Candidate]:
    best = min((candidate.cost for candidate in candidates), default=0.0)
    return [candidate for candidate in candidates if candidate.cost <= best + _BAND]


def _united(candidates: Iterable[Candidate], more: Iterable[Candidate]) -> list[Candidate]:
    """Candidates of both, the cheapest of overlapping ones, in the order of their places."""
    both = [*candidates, *more]
    if len(both) < FEWEST_OVERLAPPING:
        return both
    taken = Intervals()
    both.sort(key=_CHEAPEST)
    return sorted((candidate for candidate in both if taken.add(candidate.start, candidate.end)), key=_PLACE)
