"""Quotes that leave out words of the page between two of their own, or write one out that is abbreviated.

The search runs from both ends: where the first words of the quote may end on the page, and a little
further on, where the rest of it may begin.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .folding import FOLD_TABLE
from .hits import Hit
from .page import Page, members
from .quotes import PreparedQuote
from .repairs import repair
from .search import Pattern, level_steps, suffix_starts
from .words import FUNCTION_WORDS, MULTIPLES, abbreviates
from .work import Work

__all__ = ["gap_hits"]

_MOST_WORDS = 60
_FEWEST_LETTERS = 5
_MOST_PRICE = 1.9

_GAP = 0.15
_GAP_WORD = 0.05
_GAP_LETTER = 0.03
# Between function words and a name there is always something: the gap explains little.
_FUNCTION_SIDE = 0.7
_REACH = 16
_MOST_GAP_WORDS = 3
_LONG_GAP = 12

# Where the quote itself says that something is left out.
_ELLIPSIS = "…"
_ELIDED_REACH = 60
_ELIDED_LETTER = 0.01

# Where a clause or a sentence ends on the page, and not in the quote, nothing has been left out.
_CLAUSE_ENDS = frozenset(",;:!?")
_SENTENCE_END = re.compile(r"(?<=[^\W\d_]{4})[.!?]\s+[^\W\d_a-z]")
_LOWER_CASE = 0.8

_ABBREVIATED = 0.2
_ADDED_FUNCTION_WORD = 0.5

_SIDE_SLACK = 3
_SIDE_LIMIT_PER_LETTER = 0.2
_FEWEST_REPAIRED_LETTERS = 4
_INFINITY = float("inf")

_LETTERS_A_STEP = 3_000


def gap_hits(
    page: Page, quote: PreparedQuote, searched: Pattern, prefixes: Sequence[int], work: Work
) -> Iterator[Hit]:
    """The places of a quote with a few more words on the page between two of its words.

    ``prefixes`` are those of the search with repairs.

    Raises:
        WorkSpentError: finding them takes more work than there is.
    """
    if not 1 < len(quote.words) <= _MOST_WORDS or len(quote.letters) < _FEWEST_LETTERS:
        return
    if not any(prefixes[end] & page.ends for end in quote.word_ends[:-1]):
        return
    work.spend(level_steps(page, len(quote.letters)))
    search = _GapSearch(page, quote, prefixes, suffix_starts(searched, page.ends), work)
    elided = _elisions(quote)
    for left in range(len(quote.words) - 1):
        if left in elided or not elided:
            yield from search.gaps(left, bool(elided))
        if not elided:
            yield from search.exchanges(left)


@dataclass(frozen=True, slots=True)
class _GapSearch:
    """The boundaries where the quote's first letters may end, and where its last ones may begin."""

    page: Page
    quote: PreparedQuote
    prefixes: Sequence[int]
    suffixes: Sequence[int]
    work: Work

    def gaps(self, left: int, elided: bool) -> Iterator[Hit]:
        """Hits with more words on the page behind the quote's word ``left``."""
        cut = self.quote.word_ends[left]
        self.work.spend(self._steps())
        ends = self.prefixes[cut] & self.page.ends
        starts = self.suffixes[cut] & self.page.starts
        if not ends or not starts:
            return
        reach = _ELIDED_REACH if elided else _REACH
        for start in members(_spread(ends, reach) & starts):
            self.work.spend(self._steps())
            end = _last_member_before(ends, start)
            price = self._elided_price(end, start) if elided else self._gap_price(left, end, start)
            if price <= _MOST_PRICE:
                yield from self._joined(cut, end, start, cut, price)

    def exchanges(self, left: int) -> Iterator[Hit]:
        """Hits with another form of the word behind ``left``: abbreviated, or a sign for a function word."""
        if left + 2 >= len(self.quote.words):
            return
        cut, resumed = self.quote.word_ends[left], self.quote.word_ends[left + 1]
        self.work.spend(self._steps())
        ends = self.prefixes[cut] & self.page.ends
        starts = self.suffixes[resumed] & self.page.starts
        if not ends or not starts:
            return
        left_out = self.quote.words[left + 1]
        for start in members((ends | _spread(ends, _REACH)) & starts):
            self.work.spend(self._steps())
            end = _last_member_before(ends, start + 1)
            if end == start and left_out in FUNCTION_WORDS:
                yield from self._joined(cut, end, start, resumed, _ADDED_FUNCTION_WORD)
            end = _last_member_before(ends, start)
            if end < 0 or self.page.words_between(end, start) != 1:
                continue
            begins = self.page.word_after(end)[0]
            if self._loses_capital(left + 1, begins):
                continue
            if abbreviates(self.page.letters[end:start], left_out):
                yield from self._joined(cut, end, start, resumed, _ABBREVIATED)

    def _steps(self) -> float:
        return 3 + len(self.page.letters) / _LETTERS_A_STEP

    def _gap_price(self, left: int, end: int, start: int) -> float:
        between = self.page.letters[end:start]
        words = self.page.words_between(end, start)
        if words > _MOST_GAP_WORDS or (words > 1 and len(between) > _LONG_GAP):
            return _INFINITY
        if words > 1 and not self.quote.has_digits and not between.isalpha():
            return _INFINITY
        before, after = self.quote.words[: left + 1], self.quote.words[left + 1 :]
        beside_number = before[-1].isdigit() or after[0].isdigit()
        if beside_number and (between in MULTIPLES or any(letter.isdigit() for letter in between)):
            return _INFINITY
        if self._ends_a_clause(left, end, start):
            return _INFINITY
        price = _GAP + _GAP_WORD * words + _GAP_LETTER * len(between)
        if self._loses_capital(left + 1, start):
            price += _LOWER_CASE
        if not between.isdigit() and (_are_function_words(before) or _are_function_words(after)):
            price += _FUNCTION_SIDE
        return price

    def _ends_a_clause(self, left: int, end: int, start: int) -> bool:
        """Whether the page has the end of a clause behind the word ``left``, or later of a sentence."""
        behind = self.page.origin(end - 1) + 1
        sign = self.page.text[behind : behind + 1]
        if sign in _CLAUSE_ENDS and self._sign_behind(left) != sign:
            return True
        from_word = self.page.origin(self.page.word_after(end)[0])
        return _SENTENCE_END.search(self.page.text, from_word, self.page.origin(start) + 1) is not None

    def _sign_behind(self, word: int) -> str:
        end = self.quote.priced_words[word].end
        return self.quote.text[end : end + 1]

    def _loses_capital(self, word: int, start: int) -> bool:
        """Whether a word of the quote begins with a capital, and the page with a small letter there."""
        return (
            self.quote.text[self.quote.priced_words[word].start].isupper()
            and self.page.text[self.page.origin(start)].islower()
        )

    def _elided_price(self, end: int, start: int) -> float:
        return _GAP + _ELIDED_LETTER * (start - end)

    def _joined(self, cut: int, end: int, start: int, resumed: int, price: float) -> Iterator[Hit]:
        """The hit whose first part ends at ``end`` and whose other starts at ``start``, if both are good."""
        first = _cheapest_start(self.page, self.quote.letters[:cut], end, self.work)
        last = _cheapest_end(self.page, self.quote.letters[resumed:], start, self.work)
        price += first[0] + last[0]
        if price <= _MOST_PRICE:
            yield Hit(first[1], last[1], price)


def _elisions(quote: PreparedQuote) -> set[int]:
    """The words of the quote behind which it has an ellipsis."""
    core = quote.core.replace("...", _ELLIPSIS)
    if _ELLIPSIS not in core:
        return set()
    found: set[int] = set()
    count = 0
    for piece in core.split(_ELLIPSIS)[:-1]:
        count += len(piece.translate(FOLD_TABLE).split())
        found.add(count - 1)
    return found


def _are_function_words(words: Sequence[str]) -> bool:
    return all(len(word) > 1 and word in FUNCTION_WORDS for word in words)


def _spread(ends: int, reach: int) -> int:
    """The boundaries one to ``reach`` letters behind those given."""
    width = 1
    while width < reach:
        step = min(width, reach - width)
        ends |= ends << step
        width += step
    return ends << 1


def _last_member_before(places: int, boundary: int) -> int:
    """The last member of a set before a boundary; -1 if there is none."""
    return (places & ((1 << boundary) - 1)).bit_length() - 1


def _cheapest_start(page: Page, letters: str, end: int, work: Work) -> tuple[float, int]:
    """The price and the start of the best match of some letters that ends at a boundary."""
    near = end - len(letters)
    starts = page.starts_between(near - _SIDE_SLACK, min(end - 1, near + _SIDE_SLACK))
    return _cheapest((_side_price(letters, page.letters[start:end], work), start) for start in starts)


def _cheapest_end(page: Page, letters: str, start: int, work: Work) -> tuple[float, int]:
    """The price and the end of the best match of some letters that starts at a boundary."""
    near = start + len(letters)
    ends = page.ends_between(max(start + 1, near - _SIDE_SLACK), near + _SIDE_SLACK)
    return _cheapest((_side_price(letters, page.letters[start:end], work), end) for end in ends)


def _side_price(letters: str, written: str, work: Work) -> float:
    if letters == written:
        return 0.0
    if len(letters) < _FEWEST_REPAIRED_LETTERS:
        return _INFINITY
    fixed = repair(letters, written, (len(letters),), work)
    return (
        fixed.total if not fixed.digits and fixed.total < _SIDE_LIMIT_PER_LETTER * len(letters) else _INFINITY
    )


def _cheapest(sides: Iterable[tuple[float, int]]) -> tuple[float, int]:
    return min(sides, default=(_INFINITY, 0))
