"""The price of the repairs between what a model quotes and what stands on the page.

Prices are in units of one unexplained letter. Look-alikes and variant spellings cost a part of that. A
digit that becomes another digit, appears or vanishes has no price: it makes another value.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from rapidfuzz.distance import Levenshtein

from .folding import has_unspaced
from .lookalikes import CLOSE, LIGATURES, LOOKALIKE_GROUPS, LOOKALIKES
from .reading import LOST_LETTER
from .words import ENDINGS
from .work import Work

__all__ = ["Repair", "repair"]

_LETTER = 1.0
# An ideograph says more than a letter: of a name of five, four alike are not enough.
_IDEOGRAPH = 1.5
_FIRST_IDEOGRAPH = "\u3400"
# Where no border of a word says where a quote ends, a letter is sooner another than left out.
_LEFT_OUT = 0.05
_CLOSE_LOOKALIKE = 0.25
_LOOKALIKE = 0.45
_GROUP = 0.35
_DOUBLED = 0.5
_SWAPPED = 0.7
# Dearer than any repair of letters, so that the cheapest way changes as few digits as possible.
_DIGIT = 1000.0
# Ideographs that are digits, units of counting included, as they are written and as banks write them.
_NUMERALS = frozenset("〇零一二三四五六七八九十百千万萬億廿卅壹壱貳贰弐叁參参肆伍陸陆柒捌玖拾佰仟")
_GROUP_WIDTHS = (1, 2)
# Letters that come and go with the spelling: th, rh, ae for a with dots.
_SILENT = 0.35
_SILENT_BEHIND: Mapping[str, str] = {"h": "tcrkpgd", "e": "aou"}
# Another ending of the same stem.
_ENDING = 0.4
_LONE_ENDING = 0.8
_STEM = 4
# A dearer stretch than that is more than one repair.
_ONE_PLACE = 0.46
_PAIR = 2
# What a lost letter was is not known: it may have been any one, two together, or none.
_LOST = 0.25
_LOST_PAIR = 0.3
_LOST_NOTHING = 0.15
# A longer stretch without two equal letters in a row is no repair: it is priced letter by letter.
_LONGEST_STRETCH = 48
_CELL_STEPS = 1.5
# Letters and digits in one word: another letter makes another one, as another digit does.
_CODE = re.compile(r"(?=\D*\d)(?:\d|[^\W\d_]{1,3}(?![^\W\d_]))+")


@dataclass(slots=True)
class Repair:
    """What turning a quote's letters into the page's costs, for each word of the quote and in total.

    ``letters`` counts the letters that differ, ``places`` the places where some do, and ``digits`` the
    changed digits, which have no price.
    """

    prices: Sequence[float]
    total: float
    letters: int
    places: int
    digits: int


def repair(quote: str, written: str, word_ends: Sequence[int], work: Work) -> Repair:
    """Prices the way from a quote's letters to those on the page.

    Args:
        quote: the quote's letters.
        written: the letters on the page.
        word_ends: where in the quote its words end.
        work: what the pricing may cost.

    Raises:
        WorkSpentError: it would cost more.
    """
    work.spend(_repair_steps(len(quote)))
    prices = [0.0] * len(word_ends)
    letters = places = digits = 0
    word = 0
    for first, quoted, found in _differences(quote, written):
        after = first + len(quoted)
        work.spend(1 + _CELL_STEPS * min(len(quoted) * len(found), _LONGEST_STRETCH**2))
        price = _price(quoted, found, quote[first - 1 : first], quote[after : after + 1])
        if price >= _DIGIT:
            changed = int(price // _DIGIT)
            digits += changed
            price -= changed * _DIGIT
        elif (
            after in word_ends
            and _are_endings(quoted, found)
            and not quote[first - 1].isdigit()
            and first - (word_ends[word - 1] if word else 0) >= _STEM
        ):
            price = min(price, _ENDING if len(word_ends) > 1 else _LONE_ENDING)
        word = _word_at(first + len(quoted) // 2, word, word_ends)
        if price >= _LETTER and _CODE.fullmatch(quote, word_ends[word - 1] if word else 0, word_ends[word]):
            digits += 1
        widest = max(len(quoted), len(found))
        letters += widest
        places += 1 if price <= _ONE_PLACE or widest == 1 else 2
        prices[word] += price
    return Repair(prices, sum(prices), letters, places, digits)


def _word_at(middle: int, word: int, word_ends: Sequence[int]) -> int:
    """The word with a letter, not before some other word."""
    while word_ends[word] <= middle and word < len(word_ends) - 1:
        word += 1
    return word


def _repair_steps(length: int) -> float:
    return 4 + length / 10 + length * length / 16_000


def _differences(quote: str, written: str) -> Iterator[tuple[int, str, str]]:
    """The stretches where the two differ: where in the quote, what is quoted, what is written.

    A single equal letter between two differences does not part them: it may be one that changed places.
    """
    quote_from = quote_to = written_from = written_to = -1
    for tag, start, end, other_start, other_end in _steps(quote, written):
        if tag == "equal":
            continue
        if quote_from >= 0 and start - quote_to > 1:
            yield quote_from, quote[quote_from:quote_to], written[written_from:written_to]
            quote_from = -1
        if quote_from < 0:
            quote_from, written_from = start, other_start
        quote_to, written_to = end, other_end
    if quote_from >= 0:
        yield quote_from, quote[quote_from:quote_to], written[written_from:written_to]


def _steps(quote: str, written: str) -> list[tuple[str, int, int, int, int]]:
    """The steps from one to the other as plain tuples: as objects they take ten times as long to make."""
    steps = Levenshtein.opcodes(quote, written).as_list()
    return cast("list[tuple[str, int, int, int, int]]", steps)


@lru_cache(maxsize=32768)
def _price(quoted: str, written: str, before: str, after: str) -> float:
    """The price of one stretch that stands between the same neighbours on both sides."""
    if len(quoted) == len(written) == 1:
        return _exchange(quoted, written)
    if not written and len(quoted) == 1:
        return _single(quoted, before, after)
    if not quoted and len(written) == 1:
        return _single(written, before, after)
    if max(len(quoted), len(written)) > _LONGEST_STRETCH:
        return _letter_by_letter(quoted, written)
    return _align(quoted, written, before, after)


def _letter_by_letter(quoted: str, written: str) -> float:
    digits = [[letter for letter in side if _is_digit(letter)] for side in (quoted, written)]
    return Levenshtein.distance(quoted, written) * _LETTER + (_DIGIT if digits[0] != digits[1] else 0.0)


def _align(quoted: str, written: str, before: str, after: str) -> float:
    """The cheapest alignment of two stretches, look-alike groups included."""
    extra = [_in_context(written, position, before, after) for position in range(len(written))]
    row = [0.0]
    for price in extra:
        row.append(row[-1] + price)
    rows = [row]
    for i, letter in enumerate(quoted):
        dropped = _in_context(quoted, i, before, after)
        above = rows[i]
        row = [above[0] + dropped]
        for j, other in enumerate(written):
            best = min(above[j] + _exchange(letter, other), above[j + 1] + dropped, row[j] + extra[j])
            row.append(min(best, _grouped(rows, quoted[: i + 1], written[: j + 1])))
        rows.append(row)
    return rows[-1][-1]


def _grouped(rows: Sequence[Sequence[float]], quoted: str, written: str) -> float:
    best = float("inf")
    if len(quoted) > 1 and len(written) > 1 and quoted[-1] == written[-2] and quoted[-2] == written[-1]:
        best = rows[len(quoted) - 2][len(written) - 2] + (
            _DIGIT if all(map(_is_digit, quoted[-2:])) else _SWAPPED
        )
    if written.endswith(LOST_LETTER):
        for width in (2, 3):
            group = quoted[-width:]
            if group in LIGATURES or (len(group) == width == _PAIR and group.isalpha()):
                best = min(best, rows[len(quoted) - width][len(written) - 1] + _LOST_PAIR)
    for width in _GROUP_WIDTHS:
        if len(quoted) < width:
            break
        for other in LOOKALIKE_GROUPS.get(quoted[-width:], ()):
            if written.endswith(other):
                best = min(best, rows[len(quoted) - width][len(written) - len(other)] + _GROUP)
    return best


def _exchange(letter: str, other: str) -> float:
    if letter == other:
        return 0.0
    if not (letter.isdigit() and other.isdigit()) and other in LOOKALIKES.get(letter, ""):
        return _CLOSE_LOOKALIKE if other in CLOSE.get(letter, "") else _LOOKALIKE
    if _is_digit(letter) or _is_digit(other):
        return _DIGIT
    return _LOST if LOST_LETTER in (letter, other) else _unexplained(letter, other)


def _is_digit(letter: str) -> bool:
    return letter.isdigit() or letter in _NUMERALS


def _unexplained(*letters: str) -> float:
    return _IDEOGRAPH if max(letters) >= _FIRST_IDEOGRAPH else _LETTER


def _in_context(letters: str, position: int, before: str, after: str) -> float:
    previous = letters[position - 1] if position > 0 else before
    following = letters[position + 1] if position + 1 < len(letters) else after
    return _single(letters[position], previous, following)


def _single(letter: str, previous: str, following: str) -> float:
    """The price of a letter that the other side lacks."""
    if _is_digit(letter):
        return _DIGIT
    if letter == LOST_LETTER:
        return _LOST_NOTHING
    if letter in (previous, following):
        return _DOUBLED
    if previous and previous in _SILENT_BEHIND.get(letter, ""):
        return _SILENT
    return _unexplained(letter) + (_LEFT_OUT if has_unspaced(letter) else 0.0)


def _are_endings(quoted: str, written: str) -> bool:
    return (not quoted or quoted in ENDINGS) and (not written or written in ENDINGS)
