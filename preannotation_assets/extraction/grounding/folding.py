"""Text folded to its bare letters and digits, with the way back to the original offsets.

Folding forgets everything a model or an OCR engine repairs without meaning to: case, diacritics,
ligatures, long s, compatibility forms, punctuation, spaces, hyphenated line ends and invisible
characters. What is left is one string of letters and digits (the *letters*); each of them remembers
the code point it came from and whether a word starts or ends there.
"""

import re
import unicodedata
from bisect import bisect_right
from codecs import utf_32_le_decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from preannotation_assets.extraction.invisible import is_invisible

from .glued import glued_pieces
from .lookalikes import LATIN_CAPITALS
from .reading import LOST_LETTER, code_points

__all__ = ["FOLD_TABLE", "SEPARATOR", "FoldedText", "fold", "has_unspaced"]

SEPARATOR = " "
_SEPARATOR_CODE = np.uint32(ord(SEPARATOR))
_ZERO, _DIGITS = np.uint32(ord("0")), np.uint32(10)
_INVISIBLE = ""
# More than a library of any script has; the first blocks are 12,288 of them.
_MOST_REMEMBERED = 60_000
# Letters that Unicode does not decompose but that readers and OCR engines write in plain letters.
_PLAIN_LETTERS: Mapping[str, str] = {
    "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ħ": "h", "\u0131": "i",
    "ŋ": "n", "ŧ": "t", "ĸ": "k", "ꝛ": "r", "ƒ": "f",
}  # fmt: skip

_SPECIAL: Mapping[str, str] = {
    LOST_LETTER: LOST_LETTER,
    # The sign of a unit is no look-alike: 5 µm are not 5 mm.
    "\u00b5": "\u03bc",
}

# Blocks written without spaces between words: every character may start or end a word there
# (Thai to Myanmar, Khmer, kana, Han with its extensions and compatibility forms).
_UNSPACED_BLOCKS: tuple[tuple[int, int], ...] = (
    (0x0E00, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FDF), (0x3040, 0x312F), (0x3400, 0x9FFF),
    (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip
_UNSPACED_LETTER = re.compile(
    "[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _UNSPACED_BLOCKS) + "]"
)


class FoldedText(NamedTuple):
    """The letters of a text.

    ``letters[i]`` was written at code point ``origins[i]``; ``codes`` are the letters as code points.
    ``borders[i]`` says that there is a border of words before letter ``i``, the last one that there is one
    behind all letters: between two borders is one word, and no letter is outside of a word. ``words`` has
    the places of the borders, ascending.
    ``begins[i]`` and ``closes[i]`` say that something may begin or end there that may be quoted by itself: a
    word, or although it is glued to letters a number, and a word without a lost letter at its edge.
    """

    letters: str
    codes: NDArray[np.uint32]
    origins: NDArray[np.int64]
    borders: NDArray[np.bool_]
    words: Sequence[int]
    begins: NDArray[np.bool_]
    closes: NDArray[np.bool_]


class _FoldTable(dict[int, str]):
    """What code points fold to, for ``str.translate``: remembers what it has met, forgets all when full."""

    def __missing__(self, code: int) -> str:
        """Folds a code point that was not met before."""
        folded = _fold_character(chr(code))
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        self[code] = folded
        return folded


def fold(text: str) -> FoldedText:
    """Folds a text to its letters."""
    written, places = _folded(code_points(text))
    at = (written != _SEPARATOR_CODE).nonzero()[0]
    codes = written.take(at)
    origins = at if places is None else places.take(at)
    borders = np.empty(len(at) + 1, dtype=np.bool_)
    borders[0] = borders[-1] = True
    np.greater(at[1:] - at[:-1], 1, out=borders[1:-1])
    letters = utf_32_le_decode(codes.data, "surrogatepass")[0]
    if not letters.isascii() and _highest(codes) >= _UNSPACED_BLOCKS[0][0]:
        unspaced = _unspaced(codes)
        borders[1:] |= unspaced
        borders[:-1] |= unspaced
    words: list[int] = borders.nonzero()[0].tolist()
    begins, closes = _borders_inside_words(text, letters, codes, origins, borders, words)
    return FoldedText(letters, codes, origins, borders, words, begins, closes)


def has_unspaced(letters: str) -> bool:
    """Whether some of the letters are of a script without spaces between words."""
    return not letters.isascii() and _UNSPACED_LETTER.search(letters) is not None


def _borders_inside_words(
    text: str,
    letters: str,
    codes: NDArray[np.uint32],
    origins: NDArray[np.int64],
    borders: NDArray[np.bool_],
    words: Sequence[int],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The borders of words, and inside them those of a number glued to letters and of lost letters."""
    # Below zero is far above nine: the codes are unsigned.
    is_digit = codes - _ZERO < _DIGITS
    changes = ((is_digit[1:] != is_digit[:-1]) > borders[1:-1]).nonzero()[0].tolist()
    has_lost = LOST_LETTER in letters
    if not changes and not has_lost:
        return borders, borders
    begins, closes = borders.copy(), borders.copy()
    if changes:
        for word in {bisect_right(words, change) for change in changes}:
            for start, end in glued_pieces(text, letters, origins.data, words[word - 1], words[word]):
                begins[start] = closes[end] = True
    if has_lost:
        lost = codes == ord(LOST_LETTER)
        begins[1:-1] |= begins[:-2] & lost[:-1]
        closes[1:-1] |= closes[2:] & lost[1:]
    return begins, closes


def _fold_character(character: str) -> str:
    """What one code point folds to: letters and digits, a separator, or nothing for invisible ones."""
    if character in _SPECIAL:
        return _SPECIAL[character]
    category = unicodedata.category(character)
    if is_invisible(character):
        return _INVISIBLE
    if category == "Cc":
        return _fold_control(character)
    if category[0] in "LN" or (category == "So" and _stands_for_letters(character)):
        folded = _fold_letter(character)
        return folded or SEPARATOR
    if category[0] == "M":
        # Vowel signs of Indic scripts (class 0) are letters to a reader, accents are not.
        return character if unicodedata.combining(character) == 0 else _INVISIBLE
    return SEPARATOR


def _fold_control(character: str) -> str:
    """What a control character folds to: where Windows-1252 has a letter, as Š for U+008A, it was meant."""
    try:
        meant = character.encode("latin-1").decode("cp1252")
    except UnicodeDecodeError:
        return SEPARATOR
    return SEPARATOR if meant == character else _fold_character(meant)


def _stands_for_letters(symbol: str) -> bool:
    """Whether a symbol is letters in another form: No in one sign, letters in circles, but no raised ones."""
    meaning = unicodedata.decomposition(symbol)
    return meaning.startswith("<") and not meaning.startswith("<super>")


def _fold_letter(character: str) -> str:
    decimal = unicodedata.decimal(character, None)
    if decimal is not None:
        return str(decimal)
    decomposed = unicodedata.normalize("NFKD", character)
    if "\u2044" in decomposed:
        return character  # a fraction such as one half is not the number 12
    plain = "".join(_PLAIN_LETTERS.get(part, part) for part in decomposed.casefold())
    plain = unicodedata.normalize("NFKD", plain)
    return "".join(LATIN_CAPITALS.get(part, part) for part in plain if part.isalnum())


def _folded(codes: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.int64] | None]:
    """The folded code points of a text, and the place in the text that each of them comes from.

    None for the places says that each is its own: every code point folds to one.
    """
    folds = _COMMON_FOLDS
    if _highest(codes) >= len(folds.lengths):
        rare = codes >= len(folds.lengths)
        others = sorted(set(codes[rare].tolist()))
        codes = codes.copy()
        codes[rare] = len(folds.lengths) + np.searchsorted(others, codes[rare])
        folds = folds.extended([FOLD_TABLE[code] for code in others])
    written = folds.singles.take(codes)
    odd = (written == 0).nonzero()[0]
    if not len(odd):
        return written, None
    # Few fold to nothing or to several: what the others fold to is kept, and those are written between.
    odd_codes = codes.take(odd)
    lengths = folds.lengths.take(odd_codes)
    widths = np.ones(len(codes), dtype=np.int64)
    widths[odd] = lengths
    places = np.arange(len(codes), dtype=np.int64).repeat(widths)
    written = written.take(places)
    starts = odd + (lengths - 1).cumsum() - (lengths - 1)
    for start, first, length in zip(
        starts.tolist(), folds.firsts.take(odd_codes).tolist(), lengths.tolist(), strict=True
    ):
        written[start : start + length] = folds.written[first : first + length]
    return written, places


def _highest(codes: NDArray[np.uint32]) -> int:
    """The highest of some code points, 0 if there are none."""
    return int(np.maximum.reduce(codes, initial=0))


@dataclass(frozen=True, slots=True)
class _Folds:
    """What many characters fold to, one after the other: where each begins, and how long it is.

    ``singles`` are those that fold to one code point, and 0 for the others.
    """

    written: NDArray[np.uint32]
    firsts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    singles: NDArray[np.uint32]

    @staticmethod
    def of(folded: Sequence[str]) -> "_Folds":
        lengths = np.array([len(letters) for letters in folded], dtype=np.int64)
        singles = np.array([ord(letters) if len(letters) == 1 else 0 for letters in folded], dtype=np.uint32)
        return _Folds(code_points("".join(folded)), np.cumsum(lengths) - lengths, lengths, singles)

    def extended(self, folded: Sequence[str]) -> "_Folds":
        """These, and behind them those of more characters."""
        more = _Folds.of(folded)
        return _Folds(
            np.concatenate([self.written, more.written]),
            np.concatenate([self.firsts, more.firsts + len(self.written)]),
            np.concatenate([self.lengths, more.lengths]),
            np.concatenate([self.singles, more.singles]),
        )


def _unspaced(codes: NDArray[np.uint32]) -> NDArray[np.bool_]:
    unspaced = np.zeros(len(codes), dtype=np.bool_)
    for first, last in _UNSPACED_BLOCKS:
        unspaced |= (codes >= first) & (codes <= last)
    return unspaced


FOLD_TABLE: Final = _FoldTable()
"""What any code point folds to."""

# The first blocks with the symbols, folded once.
_COMMON_FOLDS = _Folds.of([FOLD_TABLE[code] for code in range(0x3000)])
