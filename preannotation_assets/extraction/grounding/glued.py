"""Numbers that are glued to letters: which of them may be quoted by themselves, and which words beside them.

One number with letters before or behind it may (IMO9666948, 12,416GRT). Where letters and digits take turns
it is a code (24703L202), unless what parts its numbers is a word, a unit or a times sign.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

__all__ = ["glued_pieces"]

# A single letter before a short number makes a code. Between two digits, letters that look like one are one.
_ONE: Final = re.compile(r"(?:[^\W\d_]{2,}(?=\d)|[^\W\d_](?=\d[\dloi]{3}))?(\d(?:[\dloi]*\d)?)[^\W\d_]*")
# But a code has neither decimals nor degrees: B28.40, N13°.
_BEHIND_LETTER: Final = re.compile(r"[^\W\d_](\d+)")
_MEASURE: Final = re.compile(r"[.,]\d|°")
_SEVERAL: Final = re.compile(r"(?:[^\W\d_]{2,})?\d+(?:(?:x|[^\W\d_]{2,})\d+)+[^\W\d_]*")
_DIGITS: Final = re.compile(r"\d+")
# From so many letters on, what is glued to a number is a word.
_FEWEST_LETTERS: Final = 4
_TIMES: Final = "x"
# What registers write between two numbers, folded: units, currencies, and the labels of numbers.
_LISTED: Final = """
    gt nt bt grt nrt gross net brt nrt brz nrz dwt tdw teu imo mmsi kw hp bhp ihp nhp shp ps cv loa usd eur
    gbp nok sek dkk rm
    """
_UNITS: Final = frozenset(_LISTED.split())


def glued_pieces(
    text: str, letters: str, origins: Sequence[int], first: int, last: int
) -> Sequence[tuple[int, int]]:
    """What may be quoted by itself of one word of letters and digits: where its letters begin and end.

    Args:
        text: the text.
        letters: its folded letters.
        origins: where in the text each of them is written.
        first: the first letter of the word.
        last: the letter behind its last one.
    """
    numbers = _numbers(text, letters, origins, first, last)
    if not numbers:
        return ()
    words = zip([first, *(end for _, end in numbers)], [*(start for start, _ in numbers), last], strict=True)
    return [*numbers, *(word for word in words if word[1] - word[0] >= _FEWEST_LETTERS)]


def _numbers(text: str, letters: str, origins: Sequence[int], first: int, last: int) -> list[tuple[int, int]]:
    one = _ONE.fullmatch(letters, first, last)
    if not one:
        one = _BEHIND_LETTER.fullmatch(letters, first, last)
        if one and not _MEASURE.match(text, origins[last - 1] + 1):
            return []
    if one:
        numbers = [one.span(1)]
    elif _SEVERAL.fullmatch(letters, first, last):
        numbers = [found.span() for found in _DIGITS.finditer(letters, first, last)]
    else:
        return []
    is_plain = text[origins[first] : origins[last - 1] + 1].isascii()
    if not is_plain and any(_is_raised(text[at]) for start, end in numbers for at in origins[start:end]):
        return []
    between = ((end, start) for (_, end), (start, _) in pairwise(numbers))
    is_code = any(
        not _parts_numbers(letters[end:start], "".join(text[at] for at in origins[end:start]))
        for end, start in between
    )
    return [] if is_code else numbers


def _parts_numbers(letters: str, written: str) -> bool:
    """Whether letters between two numbers are a times sign, a unit or a word in small letters: no code."""
    return written == _TIMES if len(letters) == 1 else letters in _UNITS or not written.isupper()


def _is_raised(letter: str) -> bool:
    """Whether it is a digit of another kind than those of numbers, as in m²."""
    return letter.isnumeric() and not letter.isdecimal()
