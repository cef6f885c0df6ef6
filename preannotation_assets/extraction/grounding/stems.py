"""Quotes in another case than the page: the same stems with other endings."""

from collections.abc import Iterator, Sequence
from math import ceil

from .hits import Hit, has_lost_capital, letters_found
from .page import Page
from .quotes import PreparedQuote
from .words import ENDINGS, FUNCTION_WORDS, is_roman_numeral
from .work import Work

__all__ = ["ending_hits", "stem_hits"]

_FEWEST_LETTERS = 4
_MOST_WORDS = 6
_STEM_SHARE = 0.55
_STEM = 3
_LONE_STEM = 4
_LONE = 0.8
_WORD = 0.3
_OWN_ENDING = 0.2
_LONGEST_ENDING = max(map(len, ENDINGS))
_WORD_STEPS = 3
_LETTERS_PASSED_A_STEP = 500


def ending_hits(page: Page, quote: PreparedQuote, found: Sequence[int], work: Work) -> Iterator[Hit]:
    """Those of the places of a quote's letters that have one more ending behind them.

    Raises:
        WorkSpentError: looking at them takes more work than there is.
    """
    if not quote.words or len(quote.words[-1]) < _FEWEST_LETTERS or quote.letters[-1].isdigit():
        return
    work.spend(len(found))
    length = len(quote.letters)
    for first in found:
        last = first + length
        if page.starts_at(first) and not page.ends_at(last):
            tail = page.tail(last)
            if tail <= _LONGEST_ENDING and page.letters[last : last + tail] in ENDINGS:
                yield Hit(first, last, _OWN_ENDING)


def stem_hits(page: Page, quote: PreparedQuote, work: Work) -> Iterator[Hit]:
    """The places where every word of a quote stands with its own ending, another, or none.

    Raises:
        WorkSpentError: finding them takes more work than there is.
    """
    if quote.has_digits or not 0 < len(quote.words) <= _MOST_WORDS:
        return
    alone = len(quote.words) == 1
    stems = [_stem(word, alone) for word in quote.words]
    beginnings = [word[:stem] for word, stem in zip(quote.words, stems, strict=True)]
    if len(beginnings[0]) < _STEM:
        return
    work.spend(len(stems) * (1 + len(page.letters) / _LETTERS_PASSED_A_STEP))
    if not all(beginning in page.letters for beginning in reversed(beginnings)):
        return
    for first in letters_found(page, beginnings[0], work):
        if page.starts_at(first) and not has_lost_capital(page, quote, first):
            work.spend(_WORD_STEPS * len(stems))
            hit = _inflected(page, quote, stems, first)
            if hit is not None:
                yield hit


def _inflected(page: Page, quote: PreparedQuote, stems: Sequence[int], first: int) -> Hit | None:
    boundary, changed = first, 0
    for word, stem in zip(quote.words, stems, strict=True):
        start, end = page.word_after(boundary)
        written = page.letters[start:end]
        if written != word:
            if not _is_other_form(word, stem, written):
                return None
            changed += 1
        boundary = end
    return Hit(first, boundary, _LONE if len(stems) == 1 else _WORD * (1 + changed))


def _is_other_form(quoted: str, stem: int, written: str) -> bool:
    """Whether two words begin alike, with so many letters at least, and go on with other endings."""
    longest, shortest = max(len(quoted), len(written)), min(len(quoted), len(written))
    fewest = max(stem, longest - _LONGEST_ENDING)
    if quoted[:fewest] != written[:fewest] or quoted in FUNCTION_WORDS or is_roman_numeral(quoted.upper()):
        return False
    return any(
        quoted[:cut] == written[:cut] and _is_ending(quoted[cut:]) and _is_ending(written[cut:])
        for cut in range(shortest, fewest - 1, -1)
    )


def _is_ending(letters: str) -> bool:
    return not letters or letters in ENDINGS


def _stem(word: str, alone: bool) -> int:
    """How many letters of a word must be there in every form."""
    return max(_LONE_STEM if alone else _STEM, ceil(_STEM_SHARE * len(word)))
