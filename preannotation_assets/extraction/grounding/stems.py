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


def ending_hits(
    page: Page, quote: PreparedQuote, found: Sequence[tuple[int, int]], work: Work
) -> Iterator[Hit]:
    """Those of the places of a quote's letters that have one more ending behind them.

    Raises:
        WorkSpentError: looking at them takes more work than there is.
    """
    if not quote.words or len(quote.words[-1]) < _FEWEST_LETTERS or quote.letters[-1].isdigit():
        return
    work.spend(len(found))
    for first, last in found:
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
    stems = [word[: _stem(word, alone)] for word in quote.words]
    if len(stems[0]) < _STEM:
        return
    work.spend(len(stems) * (1 + len(page.letters) / _LETTERS_PASSED_A_STEP))
    if not all(stem in page.letters for stem in reversed(stems)):
        return
    for first, _ in letters_found(page, stems[0], work):
        if page.starts_at(first) and not has_lost_capital(page, quote, first):
            work.spend(_WORD_STEPS * len(quote.words))
            hit = _inflected(page, quote, first)
            if hit is not None:
                yield hit


def _inflected(page: Page, quote: PreparedQuote, first: int) -> Hit | None:
    alone = len(quote.words) == 1
    boundary, changed = first, 0
    for word in quote.words:
        start, end = page.word_after(boundary)
        if not _is_form(word, page.letters[start:end], alone):
            return None
        changed += page.letters[start:end] != word
        boundary = end
    return Hit(first, boundary, _LONE if alone else _WORD * (1 + changed))


def _is_form(quoted: str, written: str, alone: bool) -> bool:
    if quoted == written:
        return True
    if quoted in FUNCTION_WORDS or is_roman_numeral(quoted.upper()):
        return False
    least = _stem(quoted, alone)
    return any(
        quoted[:cut] == written[:cut] and _is_ending(quoted[cut:]) and _is_ending(written[cut:])
        for cut in range(min(len(quoted), len(written)), least - 1, -1)
    )


def _is_ending(letters: str) -> bool:
    return not letters or letters in ENDINGS


def _stem(word: str, alone: bool) -> int:
    """How many letters of a word must be there in every form."""
    return max(_LONE_STEM if alone else _STEM, ceil(_STEM_SHARE * len(word)))
