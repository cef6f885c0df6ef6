"""Stretches of the page that match a whole quote: exactly, after repairs, or inside longer words."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

from preannotation_assets.extraction.line_ends import LINE_BREAKS

from .intervals import FEWEST_OVERLAPPING, Intervals
from .page import Page, members
from .quotes import PreparedQuote
from .repairs import Repair, repair
from .search import Pattern, first_level, level_steps, next_level
from .words import is_roman_numeral
from .work import Work

__all__ = [
    "Hit",
    "SimilarHits",
    "bordered",
    "exact_hits",
    "has_lost_capital",
    "inner_hits",
    "letters_found",
    "similar_hits",
]

# The price that the repairs of a word of 0 to 5 letters may have, in company and alone: a short word alone
# has little to show, one letter must be right.
_SHORT_WORD_LIMITS = (0.0, 0.0, 0.5, 0.6, 1.0, 1.0)
_LONE_WORD_LIMITS = (0.0, 0.0, 0.25, 0.3, 0.5, 1.0)
# The same for longer words and for whole quotes.
_LIMIT = 0.2
_LIMIT_PER_LETTER = 0.15
# Letters that look alike are many: where several differ they prove less than one that is plainly wrong.
_MANY_LIMIT_PER_LETTER = 0.12
_LONE_MANY_LIMIT_PER_LETTER = 0.08
_ROMAN_LIMIT = 0.3

# A name that stands without its capital, or in more or fewer words, is likely another word.
_LOWER_CASE = 0.8
_LONE_LOWER_CASE = 2.0
_SPLIT = 0.3
# Longer quotes say enough without their capitals.
_MOST_CAPITALS = 12

_ERROR = 0.45
_LETTERS_PER_ERROR = 7
_MOST_ERRORS = 8
_CHANGED_VALUE_LIMIT = 0.2

_FEWEST_INNER_LETTERS = 4
_INNER = 0.3
_GLUED = 0.35
_INNER_LETTER = 0.03
_SHORT_INNER_LETTERS = 5
_SHORT_TAIL = 2
_LONG_TAIL = 8
_TAIL_PER_LETTER = 0.6
# How many letters more than one a lost letter may stand for.
_LETTERS_A_LOST_ONE = 2

_BREAKS = frozenset(LINE_BREAKS)

_LETTERS_FOUND_A_STEP = 500
_SQUARE_LETTERS_A_STEP = 60_000


class Hit(NamedTuple):
    """A match of letters, from one boundary of the page to another, and the price of its repairs."""

    first: int
    last: int
    price: float


@dataclass(slots=True)
class SimilarHits:
    """The hits of a search with repairs.

    ``value_changed`` says that a place was refused for its digits only; ``prefixes`` are the boundaries
    where each prefix of the quote ends, look-alikes allowed, when it begins with a word, whether it ends
    with one or not.
    """

    hits: Sequence[Hit]
    value_changed: bool
    prefixes: Sequence[int]


def exact_hits(page: Page, letters: str, work: Work) -> list[Hit]:
    """All places of the letters, just so, between the borders of words.

    Raises:
        WorkSpentError: finding them takes more work than there is.
    """
    length = len(letters)
    return [
        Hit(first, first + length, 0.0)
        for first in bordered(page, letters_found(page, letters, work), length)
    ]


def bordered(page: Page, found: Iterable[int], length: int) -> list[int]:
    """Those of some places of so many letters that are between the borders of words."""
    starts, ends = page.start_flags, page.end_flags
    return [first for first in found if starts[first] and ends[first + length]]


def letters_found(page: Page, letters: str, work: Work) -> list[int]:
    """Where letters begin, just so, anywhere on the page.

    Raises:
        WorkSpentError: finding them takes more work than there is.
    """
    written = page.letters
    work.spend(1 + len(written) / _LETTERS_FOUND_A_STEP)
    first = written.find(letters)
    if first < 0:
        return []
    found: list[int] = []
    steps = 0.5 + len(letters) / _LETTERS_FOUND_A_STEP
    while first >= 0:
        work.spend(steps)
        found.append(first)
        first = written.find(letters, first + 1)
    return found


def similar_hits(
    page: Page, quote: PreparedQuote, searched: Pattern, wanted: int, most: float, work: Work
) -> SimilarHits:
    """The places of a quote with repairs, between the borders of words, the cheapest of overlapping ones.

    The search goes on to more errors until it has given as many hits as are wanted.

    Args:
        page: the page.
        quote: the quote.
        searched: the pattern of the quote's letters.
        wanted: how many places are wanted.
        most: the price that the repairs may have, at most that which is usual for the quote's length.
        work: what the search may cost.

    Raises:
        WorkSpentError: it would cost more.
    """
    length = len(quote.letters)
    limit = min(most, _limit(length, len(quote.words) == 1))
    steps = level_steps(page, length)
    work.spend(steps)
    prefixes = states = first_level(searched, page.starts)
    hits: list[Hit] = []
    seen = 0
    value_changed = False
    page_ends = page.ends
    for errors in range(_most_errors(quote, limit) + 1):
        if errors == 1:
            work.spend(steps)
        if errors:
            work.spend(steps)
            states = next_level(searched, states)
        reached = states[-1] & page_ends
        ends = reached & ~seen if seen else reached
        seen = reached | seen
        for end in members(ends):
            first, fixed = _best_start(page, quote, end, errors, work)
            if fixed is None:
                continue
            if fixed.digits:
                value_changed |= fixed.total <= _CHANGED_VALUE_LIMIT and 2 * fixed.digits <= length
            elif _is_acceptable(page, quote, hit := Hit(first, end, fixed.total), fixed, limit):
                hits.append(hit)
        hits = _apart(hits)
        if len(hits) >= wanted:
            break
    return SimilarHits(hits, value_changed, prefixes)


def inner_hits(page: Page, quote: PreparedQuote, begun: int, work: Work) -> Iterator[Hit]:
    """The places of a quote inside longer words: inflected, compounded, or glued to what is before it.

    ``begun`` is that of the search with repairs.

    Raises:
        WorkSpentError: finding them takes more work than there is.
    """
    length = len(quote.letters)
    if not quote.words or len(quote.words[-1]) < _FEWEST_INNER_LETTERS:
        return
    limit = _limit(length, True)
    for end in members(begun & ~page.ends):
        tail = _tail(page, quote, end)
        if tail is not None and page.letters[end - 1] == quote.letters[-1]:
            first, fixed = _best_start(page, quote, end, 0, work)
            if fixed and not fixed.digits and not _is_split(page, quote, first, end):
                hit = Hit(first, end, fixed.total + _INNER + _INNER_LETTER * tail)
                if not has_lost_capital(page, quote, first) and _is_acceptable(
                    page, quote, hit, fixed, limit
                ):
                    yield hit
    for first in letters_found(page, quote.letters, work):
        if page.is_glued(first) and not page.starts_at(first):
            last = first + length
            tail = _tail(page, quote, last)
            if tail is not None and not _is_split(page, quote, first, last):
                yield Hit(first, last, _GLUED + _INNER_LETTER * tail)


def has_lost_capital(page: Page, quote: PreparedQuote, first: int) -> bool:
    """Whether a quote begins with a capital, and the page with a small letter there."""
    return quote.core[0].isupper() and page.text[page.origin(first)].islower()


def _loses_a_capital(page: Page, quote: PreparedQuote, hit: Hit) -> bool:
    """Whether a word behind the first lacks its capital on the page, or all are one word in small letters."""
    if not 1 < len(quote.words) <= _MOST_CAPITALS or quote.core.islower():
        return False
    stretch = page.written(hit.first, hit.last)
    if stretch == stretch.upper():
        return False
    written = page.words_within(hit.first, hit.last)
    if len(written) == 1:
        return stretch.islower()
    if len(written) != len(quote.words):
        return False
    small = [number for number, start in enumerate(written) if page.text[page.origin(start)].islower()]
    return any(quote.text[quote.priced_words[number].start].isupper() for number in small)


def _is_split(page: Page, quote: PreparedQuote, first: int, end: int) -> bool:
    """Whether a stretch of one line has more words than the quote: its end is a part of another word."""
    words = page.words_between(first, end)
    return words > max(1, len(quote.words)) and _BREAKS.isdisjoint(page.written(first, end))


def _tail(page: Page, quote: PreparedQuote, end: int) -> int | None:
    """The letters of a word behind a quote; None if they make it another word, number or code."""
    if page.ends_at(end):
        return 0
    tail = page.tail(end)
    length = len(quote.letters)
    if any(map(str.isdigit, quote.words[-1])):
        return None
    longest = (
        _SHORT_TAIL if length < _SHORT_INNER_LETTERS else min(_LONG_TAIL, int(_TAIL_PER_LETTER * length))
    )
    return None if tail > longest or page.letters[end - 1 : end + 1].isdigit() else tail


def _most_errors(quote: PreparedQuote, limit: float) -> int:
    errors = min(int(limit / _ERROR), 1 + len(quote.letters) // _LETTERS_PER_ERROR, _MOST_ERRORS)
    # One error shows the digit that has changed, even where no repair is allowed.
    return max(errors, 1) if quote.has_digits else errors


def _best_start(
    page: Page, quote: PreparedQuote, end: int, errors: int, work: Work
) -> tuple[int, Repair | None]:
    """Where a match that ends at a boundary begins, and its repairs; None if it is too different."""
    letters = quote.letters
    length = len(letters)
    lost = _LETTERS_A_LOST_ONE * page.lost_letters_between(end - length, end)
    slack = errors + 1 + length // 8 + lost
    nearest = 1 + 2 * length // (3 if quote.has_digits else 5)
    nearest += lost
    starts: list[int] = []
    near = page.starts_between(end - length - slack, min(end - 1, end - length + slack))
    work.spend(3 + len(near) * (0.5 + length * length / _SQUARE_LETTERS_A_STEP))
    for start in near:
        distance = Levenshtein.distance(letters, page.letters[start:end], score_cutoff=nearest)
        if distance < nearest:
            starts, nearest = [start], distance
        elif distance == nearest:
            starts.append(start)
    best: Repair | None = None
    best_start = end
    for start in starts:
        fixed = repair(letters, page.letters[start:end], quote.word_ends, work)
        if best is None or (fixed.digits, fixed.total) < (best.digits, best.total):
            best, best_start = fixed, start
    return best_start, best


def _is_acceptable(page: Page, quote: PreparedQuote, hit: Hit, fixed: Repair, limit: float) -> bool:
    if not fixed.total:
        return True
    total = fixed.total
    if not quote.is_unspaced:
        total += _SPLIT * abs(page.words_between(hit.first, hit.last) - len(quote.words))
    alone = len(quote.words) == 1
    if fixed.letters > 1:
        limit = min(limit, _MANY_LIMIT_PER_LETTER * len(quote.letters))
    # What is lost is not misread: it speaks against a lone word less than letters at as many places.
    misread = fixed.places - page.lost_letters_between(hit.first, hit.last)
    if alone and fixed.places > 1 and misread > 0 and not quote.has_digits:
        limit = min(limit, _LONE_MANY_LIMIT_PER_LETTER * len(quote.letters))
    if total > limit:
        return False
    for word, price in zip(quote.words, fixed.prices, strict=True):
        if price and price > _word_limit(quote, word):
            return False
    if has_lost_capital(page, quote, hit.first) or _loses_a_capital(page, quote, hit):
        total += _LONE_LOWER_CASE if alone else _LOWER_CASE
    return total <= limit


def _word_limit(quote: PreparedQuote, word: str) -> float:
    if is_roman_numeral(word.upper()) and word.upper() in quote.core:
        return _ROMAN_LIMIT
    return _limit(len(word), len(quote.words) == 1 or quote.has_digits)


def _limit(length: int, alone: bool) -> float:
    if length < len(_SHORT_WORD_LIMITS):
        return (_LONE_WORD_LIMITS if alone else _SHORT_WORD_LIMITS)[length]
    return _LIMIT + _LIMIT_PER_LETTER * length


def _apart(hits: list[Hit]) -> list[Hit]:
    """The cheapest hits that do not overlap: overlapping ones are one mention."""
    if len(hits) < FEWEST_OVERLAPPING:
        return hits
    taken = Intervals()
    return [hit for hit in sorted(hits, key=lambda hit: (hit.price, hit)) if taken.add(hit.first, hit.last)]
