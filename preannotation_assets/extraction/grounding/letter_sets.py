"""Where on a page which letters are: for every letter the set of its places, as one integer.

Made at the first search with repairs, for all plain letters and digits in one comparison: one by one takes
several times as long.
"""

from collections.abc import Callable, Mapping, Sequence
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
_OTHER_CODE: Final = 0xFF
_PAIR: Final = 2


class LetterSets:
    """The letter sets of a page.

    ``alike`` has the set of a letter and of those that look much like it. ``stand_ins`` says what may stand
    for a group of one to three letters: how many those are, the set of the places where others begin that
    look like them, how many those are.

    Args:
        codes: the letters of the page as code points.
        has_lost_letters: whether some of them are lost.
    """

    def __init__(self, codes: NDArray[np.uint32], has_lost_letters: bool) -> None:
        self.has_lost_letters = has_lost_letters
        self._codes = codes
        self._places: _Lazy[int] = _Lazy(self._find_places)
        self._places.update(zip(_PLAIN, _plain_sets(codes), strict=True))
        self._lost = self._places[LOST_LETTER] if has_lost_letters else 0
        self.alike: Mapping[str, int] = _Lazy(self._find_alike)
        self.stand_ins: Mapping[str, Sequence[Jump]] = _Lazy(self._find_stand_ins)

    def _find_places(self, letter: str) -> int:
        return bits(self._codes == ord(letter))

    def _find_alike(self, letter: str) -> int:
        found = self._places[letter]
        for other in CLOSE.get(letter, ""):
            found |= self._places[other]
        return found if letter.isdigit() else found | self._lost

    def _find_stand_ins(self, group: str) -> Sequence[Jump]:
        others = [(self._find_sequence(other), len(other)) for other in BROKEN_LETTERS.get(group, ())]
        if self.has_lost_letters and (group in LIGATURES or (len(group) == _PAIR and group.isalpha())):
            others.append((self._lost, 1))
        return tuple((len(group), places, width) for places, width in others if places)

    def _find_sequence(self, letters: str) -> int:
        found = self._places[letters[0]]
        for offset, letter in enumerate(letters[1:], start=1):
            found &= self._places[letter] >> offset
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


def _plain_sets(codes: NDArray[np.uint32]) -> list[int]:
    """The sets of the plain letters."""
    narrow = np.minimum(codes, _OTHER_CODE).astype(np.uint8)
    packed = np.packbits(narrow == _PLAIN_CODES, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]
