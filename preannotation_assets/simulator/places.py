"""Finding the places of the word list in a text, also where OCR has misread them."""

from collections.abc import Iterator

import regex

from preannotation_assets.simulator.vocabulary import PLACES

__all__ = ["find_places"]

_WORD = regex.compile(r"\p{Lu}[\p{L}\p{N}]+")
_BETWEEN_WORDS = regex.compile(r"[ \-]|[ \t]*\r?\n[ \t]*")
_LOWER_WORD = regex.compile(r"\p{L}[\p{L}\p{N}]*")
_MOST_WORDS = 3
_MISREAD = str.maketrans("01\u017f", "ols")


def _folded(word: str) -> str:
    folded = word.lower().replace("rn", "m").replace("-", " ")
    return folded.translate(_MISREAD)


_FOLDED_PLACES = frozenset(map(_folded, PLACES))
_FIRST_WORDS = frozenset(place.split()[0] for place in _FOLDED_PLACES)


def find_places(text: str) -> Iterator[tuple[int, int]]:
    """Start and end (code points) of each place, the longest at each start.

    Case does not matter, nor do rn for m, 0 for o, 1 for l and the long s.
    """
    end = 0
    for match in _WORD.finditer(text):
        if match.start() >= end and _folded(match.group()) in _FIRST_WORDS:
            longest = _longest_place(text, match.start(), match.end())
            if longest is not None:
                end = longest
                yield match.start(), end


def _longest_place(text: str, start: int, end: int) -> int | None:
    longest = None
    name = _folded(text[start:end])
    for _ in range(_MOST_WORDS):
        if name in _FOLDED_PLACES:
            longest = end
        gap = _BETWEEN_WORDS.match(text, end)
        word = _LOWER_WORD.match(text, gap.end()) if gap else None
        if word is None:
            break
        name = f"{name} {_folded(word.group())}"
        end = word.end()
    return longest
