"""The written form of a match: its edges, and the differences that folding has hidden."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import chain

from rapidfuzz.distance import Levenshtein

from preannotation_assets.extraction.line_ends import LINE_BREAKS, LINE_END_SIGNS, break_class, sign_class

from .folding import FOLD_TABLE, SEPARATOR
from .quotes import PreparedQuote

__all__ = ["cuts_number", "dress", "numerals", "same_numerals", "same_values", "surface_price"]

# Typographic marks are what this is about: they are not mistaken for the plain ones.
_QUOTATION_MARKS = frozenset("\"'`´„“”‘’‚‛«»‹›″′׳״")  # noqa: RUF001
_DASHES = frozenset(LINE_END_SIGNS)
_GROUPING_MARKS = frozenset(".,'’·٬，．")  # noqa: RUF001
_STOPS = frozenset(".,")
_GROUP_OF_DIGITS = 3
_NEAR_EDGE = 2

# A word broken at the end of a line; the sign that breaks it is one of many in old print.
_LINE_BREAK = re.compile(rf"[{sign_class()}]\s*[{break_class()}]\s*")
_BREAKS = frozenset(LINE_BREAKS)
_SPACE = re.compile(r"\s+")
# One number with its grouping or decimal marks; with more marks it may be a date or a reference. The digit
# first, then what must not be before it: an expression that begins with a set is scanned for fast.
_MARKS = (
    ".,'\u2019\u2009\u202f\u066b\u066c\uff0c\uff0e"  # ASCII ones, thin spaces, those of Arabic, wide ones
)
_NUMBER = re.compile(
    rf"\d(?<![\d{_MARKS}]\d)\d{{0,2}}(?:[{_MARKS}]\d{{3}})+(?:[{_MARKS}]\d{{1,2}})?(?!\d|[{_MARKS}]\d)"
)
# One with decimals: of the numbers that are quoted alone, none is a part of it.
_DECIMAL_NUMBER = re.compile(rf"\d(?<![\d{_MARKS}]\d)\d{{0,2}}[.,\u066b]\d{{1,2}}(?!\d|[{_MARKS}]\d)")
_LONGEST_NUMBER = 24

# A Roman numeral of more than one figure, with what makes it an ordinal: XIXe, XIIth.
_NUMERAL_WORD = re.compile(r"\b((?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))(?:e|è|ème|me|th|st|nd|rd|ten|te)?\b")
_FEWEST_FIGURES = 2
_FIGURES = re.compile(r"[IVXLC]{2}")
# What print leaves for an I.
_STROKES = str.maketrans("l1|!Îi", "IIIIII")
_NOT_STROKES = re.compile(r"[^\W\d_li]")
_WORD = re.compile(r"\w[\w|!]*")
_SYMBOLS = re.compile(r"[^\w\s]")

_LAYOUT = 0.02
_CASE = 0.8
_SYMBOL = 0.15
_SYMBOLS_MOST = 0.9


def dress(text: str, quote: PreparedQuote, start: int, end: int) -> tuple[int, int]:
    """Takes in the symbols around ``text[start:end]`` that the quote has at its edges too."""
    left, right = start, end
    for symbol in reversed(quote.prefix):
        if symbol.isspace():
            continue
        at = left - 1
        while at >= 0 and text[at].isspace() and left - at <= _NEAR_EDGE:
            at -= 1
        if at < 0 or not _same_symbol(text[at], symbol):
            break
        left = at
    for symbol in quote.suffix:
        if symbol.isspace():
            continue
        at = right
        while at < len(text) and text[at].isspace() and at - right < _NEAR_EDGE:
            at += 1
        if at >= len(text) or not _same_symbol(text[at], symbol):
            break
        right = at + 1
    if quote.enclosed and (left == start) != (right == end):
        return start, end
    return left, right


def _same_symbol(written: str, quoted: str) -> bool:
    return written == quoted or any(
        written in alike and quoted in alike for alike in (_QUOTATION_MARKS, _DASHES, _STOPS)
    )


def surface_price(quoted: str, written: str) -> float:
    """What the differences weigh that folding has hidden, between the first and the last letter.

    Line ends and spaces weigh next to nothing, since models write a quote on one line; case is strong
    evidence for another mention; punctuation and diacritics are in between.
    """
    if quoted == written:
        return 0.0
    quoted, written = _one_line(quoted), _one_line(written)
    if quoted == written:
        return _LAYOUT
    symbols = Levenshtein.distance(quoted.casefold(), written.casefold())
    case = _CASE if Levenshtein.distance(quoted, written) > symbols else 0.0
    return _LAYOUT + case + min(_SYMBOL * symbols, _SYMBOLS_MOST)


def _one_line(written: str) -> str:
    return _SPACE.sub(" ", _LINE_BREAK.sub("", written)) if not written.isprintable() else written


def same_values(quote: PreparedQuote, written: str, around: str) -> bool:
    """Whether equal digits mean equal values: grouped alike, and in no other currency.

    Args:
        quote: the quote.
        written: what stands on the page, from the first to the last letter.
        around: the same with what stands next to it.
    """
    currencies = _currencies(quote.text)
    if currencies and (others := _currencies(around)) and currencies.isdisjoint(others):
        return False
    return quote.core == written or _same_grouping(_separators(quote.core), _separators(written))


def cuts_number(text: str, start: int, end: int) -> bool:
    """Whether ``text[start:end]`` is part of a number: 219 of 219,079, 12 of 12.5, not 1889 of 12.3.1889."""
    if not text[end - 1].isdigit() and not text[start].isdigit():
        return False
    # Of most quotes the sign before and the one behind are in no number.
    if not (_is_of_number(text[max(0, start - 1) : start]) or _is_of_number(text[end : end + 1])):
        return False
    around = max(0, start - _LONGEST_NUMBER), end + _LONGEST_NUMBER
    decimals = _DECIMAL_NUMBER.finditer(text, *around) if text[start:end].isdecimal() else ()
    return any(
        number.start() < start < number.end() or number.start() < end < number.end()
        for number in chain(_NUMBER.finditer(text, *around), decimals)
    )


def _is_of_number(sign: str) -> bool:
    return sign.isdecimal() or (sign != "" and sign in _MARKS)


def numerals(text: str) -> list[str]:
    """The Roman numerals of a text, in capitals, of more than one figure."""
    if not _FIGURES.search(text):
        return []
    return [found[1] for found in _NUMERAL_WORD.finditer(text) if len(found[1]) >= _FEWEST_FIGURES]


def same_numerals(quoted: Sequence[str], written: str) -> bool:
    """Whether the page has every Roman numeral of a quote, broken strokes and one misread figure allowed.

    A word in small letters is none (II is not ist), and another numeral is another value.
    """
    words = [word for word in _WORD.findall(written) if _may_be_numeral(word)]
    return all(any(_reads_as(word, numeral) for word in words) for numeral in quoted)


def _may_be_numeral(word: str) -> bool:
    if not word.isupper() and any(letter.islower() for letter in _NOT_STROKES.findall(word)):
        return _NUMERAL_WORD.fullmatch(word) is not None
    return not word.islower() or set(word) <= {"l"}


def _reads_as(word: str, numeral: str) -> bool:
    read = word.translate(_STROKES)
    known = _NUMERAL_WORD.fullmatch(read)
    if known:
        return known[1] == numeral
    return Levenshtein.distance(read, numeral, score_cutoff=1) <= 1


def _currencies(text: str) -> set[str]:
    return {symbol for symbol in _SYMBOLS.findall(text) if unicodedata.category(symbol) == "Sc"}


def _separators(text: str) -> list[tuple[str, str]]:
    """Every letter with the symbols before it."""
    found: list[tuple[str, str]] = []
    symbols = ""
    for symbol in text:
        folded = FOLD_TABLE[ord(symbol)]
        if folded == SEPARATOR:
            symbols += symbol
            continue
        for letter in folded:
            found.append((letter, symbols))
            symbols = ""
    return found


def _same_grouping(quoted: list[tuple[str, str]], written: list[tuple[str, str]]) -> bool:
    if len(quoted) != len(written):
        return True
    joined = split = False
    for index in range(1, len(quoted)):
        if not (quoted[index - 1][0].isdigit() and quoted[index][0].isdigit()):
            continue
        mine, theirs = quoted[index][1], written[index][1]
        if bool(mine) == bool(theirs) or not _BREAKS.isdisjoint(mine + theirs):
            continue
        marks = (mine + theirs).strip()
        if marks and not _groups_thousands(marks, quoted if mine else written, index):
            return False
        joined |= not mine
        split |= not theirs
    return not (joined and split)


def _groups_thousands(marks: str, letters: list[tuple[str, str]], index: int) -> bool:
    following = letters[index + 1 : index + _GROUP_OF_DIGITS + 1]
    group = 1
    for letter, symbols in following:
        if symbols or not letter.isdigit():
            break
        group += 1
    return marks in _GROUPING_MARKS and group == _GROUP_OF_DIGITS
