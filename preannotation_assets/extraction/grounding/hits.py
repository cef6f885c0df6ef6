"""Stretches of the page's letters that match a whole quote: exactly, or after repairs."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

from .intervals import Intervals
from .page import Page, members
from .quotes import PreparedQuote
from .repairs import Repair, repair
from .search import Pattern, first_level, next_level

__all__ = ["Hit", "SimilarHits", "exact_hits", "inner_hits", "similar_hits"]

_MOST_ERRORS = 8
_ERROR = 0.45
# The letters of a word and the price that its repairs may have; longer words see _limit.
_SHORT_WORD_LIMITS = (0.0, 0.0, 0.5, 0.6, 1.0, 1.0)
_LONE_WORD_LIMITS = (0.0, 0.0, 0.25, 0.5, 0.5, 1.0)
_FIXED_LIMIT = 0.2
_LIMIT_PER_LETTER = 0.15
_STRICT_LIMIT_PER_LETTER = 0.07
_LOWER_CASE = 0.5
_SPLIT = 0.3
_FEWEST_INNER_LETTERS = 4
_INNER = 0.3
_GLUED = 0.35
_INNER_LETTER = 0.03


class Hit(NamedTuple):
    """A match of letters, from one boundary of the page to another, and the price of its repairs."""

    first: int
    last: int
    price: float


class SimilarHits(NamedTuple):
    """The hits of a search with repairs, and whether one was refused for its digits only.

    ``begun`` are the boundaries where the quote ends without errors, inside words too.
    """

    hits: Sequence[Hit]
    value_changed: bool
    begun: int


def exact_hits(page: Page, letters: str) -> list[Hit]:
    """All places of the letters, just so, between the borders of words."""
    return [Hit(first, last, 0.0) for first, last in page.find(letters) if page.starts_at(first) and page.ends_at(last)]


def similar_hits(page: Page, quote: PreparedQuote, searched: Pattern, wanted: int, strict: bool) -> SimilarHits:
    """The places of a quote with repairs, between the borders of words, best first, none overlapping.

    The search goes level by level and ends with the level that has given as many hits as are wanted.
    """
    letters = quote.letters
    limit = _limit(len(letters), len(quote.words) == 1)
    if strict:
        limit = min(limit, _STRICT_LIMIT_PER_LETTER * len(letters))
    errors = min(int(limit / _ERROR), 1 + len(letters) // 5, _MOST_ERRORS)
    if quote.has_digits:
        errors = max(errors, 1)
    states = first_level(searched, page.starts)
    begun = states[-1]
    hits: list[Hit] = []
    seen = 0
    value_changed = False
    for level in range(errors + 1):
        if level:
            states = next_level(searched, states)
        ends = states[-1] & page.ends & ~seen
        seen |= ends
        for end in members(ends):
            first, fixed = _best_start(page, quote, end, page.starts_between(*_start_range(end, len(letters), level)))
            if fixed is None:
                continue
            if fixed.digits:
                value_changed |= fixed.total <= _FIXED_LIMIT and 2 * fixed.digits <= len(letters)
            elif _acceptable(page, quote, first, end, fixed, limit):
                hits.append(Hit(first, end, fixed.total))
        hits = _apart(hits)
        if len(hits) >= wanted:
            break
    return SimilarHits(hits, value_changed, begun)


def inner_hits(page: Page, quote: PreparedQuote, begun: int) -> Iterator[Hit]:
    """The places of a quote inside longer words: inflected, compounded, or glued to what is before it.

    Args:
        page: the page.
        quote: the quote.
        begun: the boundaries where the quote ends, look-alikes allowed, when it begins with a word.
    """
    length = len(quote.letters)
    if length < _FEWEST_INNER_LETTERS or len(quote.words[-1]) < _FEWEST_INNER_LETTERS:
        return
    limit = _limit(length, True)
    for end in members(begun & ~page.ends):
        tail = page.tail(end)
        if _may_be_tail(length, tail) and not page.letters[end - 1 : end + 1].isdigit():
            first, fixed = _best_start(page, quote, end, page.starts_between(*_start_range(end, length, 0)))
            if fixed and not fixed.digits and _acceptable(page, quote, first, end, fixed, limit):
                yield Hit(first, end, fixed.total + _INNER + _INNER_LETTER * tail)
    for first, last in page.find(quote.letters):
        if page.is_glued(first) and not page.starts_at(first):
            tail = page.tail(last)
            if _may_be_tail(length, tail) and (not tail or not page.letters[last - 1 : last + 1].isdigit()):
                yield Hit(first, last, _GLUED + _INNER_LETTER * tail)


def _may_be_tail(length, tail):
    return tail <= (2 if length < 5 else min(8, 0.6 * length))


def _start_range(end, length, errors):
    slack = errors + 1 + length // 8
    return end - length - slack, min(end - 1, end - length + slack)


def _best_start(page: Page, quote: PreparedQuote, end: int, allowed: Sequence[int]) -> tuple[int, Repair | None]:
    """Where a match that ends at a boundary begins, and its repairs; None if it is too different."""
    letters = quote.letters
    length = len(letters)
    nearest = 1 + 2 * length // (3 if quote.has_digits else 5)
    starts: list[int] = []
    for start in allowed:
        distance = Levenshtein.distance(letters, page.letters[start:end], score_cutoff=nearest)
        if distance < nearest:
            starts, nearest = [start], distance
        elif distance == nearest:
            starts.append(start)
    best: Repair | None = None
    best_start = end
    for start in starts:
        fixed = repair(letters, page.letters[start:end], quote.word_ends)
        if best is None or (fixed.digits, fixed.total) < (best.digits, best.total):
            best, best_start = fixed, start
    return best_start, best


def _acceptable(page: Page, quote: PreparedQuote, first: int, last: int, fixed: Repair, limit: float) -> bool:
    if not fixed.total:
        return True
    total = fixed.total
    written = page.text[page.origin(first)]
    if quote.core[0].isupper() and written.islower():
        total += _LOWER_CASE
    total += _SPLIT * abs(page.words_between(first, last) - len(quote.words))
    if total > limit:
        return False
    start = 0
    for price, end in zip(fixed.prices, quote.word_ends, strict=True):
        if price > _limit(end - start, len(quote.words) == 1):
            return False
        start = end
    return True


def _limit(length: int, alone: bool) -> float:
    """The price that repairs of so many letters may have; a short word alone has little to show."""
    if length < len(_SHORT_WORD_LIMITS):
        return (_LONE_WORD_LIMITS if alone else _SHORT_WORD_LIMITS)[length]
    return _FIXED_LIMIT + _LIMIT_PER_LETTER * length


def _apart(hits: Sequence[Hit]) -> list[Hit]:
    """The cheapest hits that do not overlap: overlapping ones are one mention."""
    taken = Intervals()
    return [hit for hit in sorted(hits, key=lambda hit: (hit.price, hit)) if taken.add(hit.first, hit.last)]
