"""Quotes with words added at their edges: a title, an article, a legal form, the country of a town.

What is left without them, the core, must stand on the page, and it must carry the quote.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

from .hits import Hit, exact_hits, has_lost_capital, inner_hits, similar_hits
from .lookalikes import CLOSE
from .page import Page
from .quotes import PreparedQuote, prepare
from .search import level_steps, pattern
from .words import (
    FUNCTION_WORDS,
    Word,
    abbreviates,
    contradicts,
    is_common,
    is_roman_numeral,
    may_be_added,
    needs_name,
)
from .work import Work

__all__ = ["Core", "core_hits"]

_MOST_ADDED = 3
_MOST_WORDS = 60
_MOST_PRICE = 1.9
_ABBREVIATED = 0.2
_DAMAGED = 0.2
_DAMAGED_LETTER = 0.2
_LETTERS_PER_DAMAGE = 3
# A core that needs repairs of its own is weak evidence.
_REPAIRED = 0.3
_REPAIR_PER_LETTER = 0.1
_FEWEST_REPAIRED_LETTERS = 5
_FEWEST_LETTERS = 2
_SHORT_CORE = 3

_LETTERS_SPLIT_A_STEP = 2
_HIT_STEPS = 5

_OPENING = frozenset('([«“"„')
_CLOSING = frozenset('.)]»”"')


class Core(NamedTuple):
    """What is left of a quote, and a place of it."""

    quote: PreparedQuote
    hit: Hit


@dataclass(slots=True)
class _Cut:
    """One way to take words from the edges of a quote: the letters of what is left, and what is not."""

    letters: str
    before: Sequence[Word]
    after: Sequence[Word]

    @property
    def is_sure(self) -> bool:
        """Whether what is left must stand on the page letter by letter."""
        return len(self.letters) <= _SHORT_CORE or any(
            word.price is None for word in (*self.before, *self.after)
        )


def core_hits(page: Page, quote: PreparedQuote, work: Work) -> Iterator[Core]:
    """The places of a quote without up to three added words at either edge.

    Raises:
        WorkSpentError: finding them takes more work than there is.
    """
    work.spend(len(quote.text) / _LETTERS_SPLIT_A_STEP)
    for cut in _cuts(quote):
        work.spend(5 + len(quote.text) / _LETTERS_SPLIT_A_STEP)
        hits = exact_hits(page, cut.letters, work)
        if not hits and cut.is_sure:
            continue
        core = prepare(_core_text(quote, len(cut.before), len(cut.after)))
        if len(cut.letters) <= _SHORT_CORE:
            hits = [hit for hit in hits if page.written(hit.first, hit.last) == core.core]
        elif not hits:
            hits = _repaired_hits(page, core, work)
        for hit in hits:
            if has_lost_capital(page, core, hit.first):
                continue
            work.spend(_HIT_STEPS)
            priced = _with_added_words(page, quote, core, hit, cut)
            if priced is not None and priced.price <= _MOST_PRICE:
                yield Core(core, priced)


def _cuts(quote: PreparedQuote) -> Iterator[_Cut]:
    count = len(quote.words)
    if not 1 < count <= _MOST_WORDS:
        return
    words = quote.priced_words
    most_before, most_after = _most_added(words), _most_added(words[::-1])
    for before in range(min(count, most_before + 1)):
        for after in range(0 if before else 1, min(count - before, most_after + 1)):
            kept = words[before : count - after]
            letters = "".join([word.letters for word in kept])
            cut = words[:before], words[count - after :]
            if letters.isdigit():
                # A number is not the quote without its unit or month, unless these stand there abbreviated.
                cut = _not_left_out(cut[0]), _not_left_out(cut[1])
            if len(letters) >= _FEWEST_LETTERS and _may_be_added(*cut) and not _are_common(kept):
                yield _Cut(letters, *cut)


def _most_added(words: Sequence[Word]) -> int:
    """How many of the first words may be left out at most: those with a price, or one without."""
    priced = 0
    for word in words[:_MOST_ADDED]:
        if word.price is None:
            break
        priced += 1
    return priced or 1


def _are_common(words: Sequence[Word]) -> bool:
    return all(is_common(word.letters) for word in words)


def _not_left_out(words: Sequence[Word]) -> list[Word]:
    return [word if word.letters in FUNCTION_WORDS else replace(word, price=None) for word in words]


def _may_be_added(before: Sequence[Word], after: Sequence[Word]) -> bool:
    """Whether words may be left out; one without a price only by itself: it may stand abbreviated."""
    added = (*before, *after)
    price = 0.0
    for word in added:
        if word.price is None:
            return len(added) == 1
        price += word.price
    return price <= _MOST_PRICE


def _core_text(quote: PreparedQuote, before: int, after: int) -> str:
    """The quote without its added words, but with the symbols that belong to what is left."""
    text, words = quote.text, quote.priced_words
    start = 0
    end = len(text)
    if before:
        start = words[before].start
        while text[start - 1] in _OPENING:
            start -= 1
    if after:
        end = words[len(words) - after - 1].end
        while text[end] in _CLOSING:
            end += 1
    return text[start:end]


def _repaired_hits(page: Page, core: PreparedQuote, work: Work) -> list[Hit]:
    most = _REPAIR_PER_LETTER * len(core.letters) if len(core.letters) >= _FEWEST_REPAIRED_LETTERS else 0.0
    work.spend(level_steps(page, len(core.letters)))
    similar = similar_hits(page, core, pattern(page, core.letters), 1, most, work)
    repaired = similar.hits or inner_hits(page, core, similar.prefixes[-1], work)
    return [Hit(hit.first, hit.last, hit.price + _REPAIRED) for hit in repaired]


def _with_added_words(
    page: Page, quote: PreparedQuote, core: PreparedQuote, hit: Hit, cut: _Cut
) -> Hit | None:
    """The hit with the price of the added words.

    A word that stands next to the core, abbreviated or damaged, has not been added: it is taken in.
    """
    first, last, price = hit
    before, after = list(cut.before), list(cut.after)
    if before:
        start, end = page.word_before(first)
        if contradicts(page.letters[start:end], before[-1].letters) or _is_other_initial(
            page, start, end, before[-1]
        ):
            return None
        form = _other_form(page, start, end, quote, before[-1])
        if form is not None:
            first, price = start, price + form
            before.pop()
        elif needs_name(before[-1].letters) and core.core[:1].islower():
            return None
    if after:
        start, end = page.word_after(last)
        form = _other_form(page, start, end, quote, after[0])
        if form is not None:
            last, price = end, price + form
            after.pop(0)
    if not may_be_added(before, after):
        return None
    for word in (*before, *after):
        if word.price is None:
            return None
        price += word.price
    return Hit(first, last, price)


def _is_other_initial(page: Page, start: int, end: int, word: Word) -> bool:
    """Whether an initial stands where the quote has another: J. Smith is not F. Smith."""
    written, quoted = page.letters[start:end], word.letters
    if not len(written) == len(quoted) == 1 or not (written + quoted).isalpha():
        return False
    return written not in CLOSE.get(quoted, quoted) and page.text[page.origin(start)].isupper()


def _other_form(page: Page, start: int, end: int, quote: PreparedQuote, word: Word) -> float | None:
    """The price of a word between two boundaries for one of the quote; None if they are different words."""
    written, quoted = page.letters[start:end], word.letters
    if start == end or (quote.text[word.start].isupper() and page.text[page.origin(start)].islower()):
        return None
    if abbreviates(written, quoted):
        return _ABBREVIATED
    if len(quoted) < _FEWEST_LETTERS or is_common(quoted):
        return None
    if not (written + quoted).isalpha() or is_roman_numeral(quoted.upper()):
        return None
    most = len(quoted) // _LETTERS_PER_DAMAGE
    damage = Levenshtein.distance(written, quoted, score_cutoff=most)
    return _DAMAGED + _DAMAGED_LETTER * damage if damage <= most else None
