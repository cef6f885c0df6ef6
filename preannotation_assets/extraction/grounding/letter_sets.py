"""Where on a page which letters are: for every letter the set of its places, as one integer.

Made at the first search with repairs, for all plain letters and digits in one comparison: one by one takes
several times as long.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from .lookalikes import BROKEN_LETTERS, CLOSE, LIGATURES
from .reading import LOST_LETTER

__all__ = ["LetterSets", "bits"]

Jump = tuple[int, int, int]
Value = TypeVar("Value")

_PLAIN: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_PLAIN_CODES: Final = np.frombuffer(_PLAIN.encode("latin-1"), dtype=np.uint8)[:, np.newaxis]
_PAIR: Final = 2


class LetterSets:
    """The letter sets of a page.

    ``alike`` has the set of a letter and of those that look much like it. ``stand_ins`` says what may stand
    for a group of one to three letters: how many those are, the set of the places where others begin that
    look like them, how many those are.

    Args:
        letters: the letters of the page.
        codes: the same as code points.
        has_lost_letters: whether some of them are lost.
    """

    def __init__(self, letters: str, codes: NDArray[np.uint32], has_lost_letters: bool) -> None:
        self.has_lost_letters = has_lost_letters
        # None of them refers to this object: what refers to itself is only freed by the garbage collector.
        places = _Lazy(_Places(letters, codes).find)
        lost = places[LOST_LETTER] if has_lost_letters else 0
        self.alike: Mapping[str, int] = _Lazy(partial(_find_alike, places, lost))
        self.stand_ins: Mapping[str, Sequence[Jump]] = _Lazy(partial(_find_stand_ins, places, lost))


class _Places:
    """The places of single letters."""

    def __init__(self, letters: str, codes: NDArray[np.uint32]) -> None:
        self._codes = codes
        # Letters that are not plain become a sign, which no letter is.
        narrow = np.frombuffer(letters.encode("latin-1", "replace"), dtype=np.uint8)
        packed = np.packbits(narrow == _PLAIN_CODES, axis=1, bitorder="little")
        self._plain, self._width = packed.tobytes(), packed.shape[1]

    def find(self, letter: str) -> int:
        """The set of the places of a letter."""
        plain = _PLAIN.find(letter)
        if plain < 0:
            return bits(self._codes == ord(letter))
        return int.from_bytes(self._plain[plain * self._width : (plain + 1) * self._width], "little")


def _find_alike(places: Mapping[str, int], lost: int, letter: str) -> int:
    found = places[letter]
    for other in CLOSE.get(letter, ""):
        found |= places[other]
    return found if letter.isdigit() else found | lost


def _find_stand_ins(places: Mapping[str, int], lost: int, group: str) -> Sequence[Jump]:
    others = [(_find_sequence(places, other), len(other)) for other in BROKEN_LETTERS.get(group, ())]
    if lost and (group in LIGATURES or (len(group) == _PAIR and group.isalpha())):
        others.append((lost, 1))
    return tuple([(len(group), found, width) for found, width in others if found])


def _find_sequence(places: Mapping[str, int], letters: str) -> int:
    found = places[letters[0]]
    for offset, letter in enumerate(letters[1:], start=1):
        found &= places[letter] >> offset
    return found


class _Lazy(dict[str, Value]):
    """Values that are worked out when they are first asked for."""

    def __init__(self, work_out: Callable[[str], Value]) -> None:
        super().__init__()
        self._work_out = work_out

    def __missing__(self, key: str) -> Value:
        value = self[key] = self._work_out(key)
        return value


def bits(flags: NDArray[np.bool_]) -> int:
    """The set of the places that are flagged."""
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")
