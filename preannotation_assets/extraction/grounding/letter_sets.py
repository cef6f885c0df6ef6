"""Where on a page which letters are: for every letter the set of its places, as one integer.

Made at the first search with repairs, for all plain letters and digits in one comparison: one by one takes
several times as long.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .lookalikes import BROKEN_LETTERS, CLOSE, LIGATURES
from .reading import LOST_LETTER

__all__ = ["LetterSets", "bits"]

Jump = tuple[int, int, int]

_PLAIN: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_PLAIN_CODES: Final = np.frombuffer(_PLAIN.encode("latin-1"), dtype=np.uint8)[:, np.newaxis]
_BITS: Final = 8
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
        places = _Places(letters, codes)
        lost = places[LOST_LETTER] if has_lost_letters else 0
        self.alike: Mapping[str, int] = _Alike(places, lost)
        self.stand_ins: Mapping[str, Sequence[Jump]] = _StandIns(letters, places, lost)


class _Places(dict[str, int]):
    """The places of single letters, worked out when they are first asked for."""

    def __init__(self, letters: str, codes: NDArray[np.uint32]) -> None:
        super().__init__()
        self._codes = codes
        # Letters that are not plain become a sign, which no letter is. With whole bytes a letter, filled up
        # with blanks, all letters are packed as one.
        self._width = -(-len(letters) // _BITS)
        narrow = np.frombuffer(letters.encode("latin-1", "replace").ljust(self._width * _BITS), np.uint8)
        self._plain = np.packbits(narrow == _PLAIN_CODES, bitorder="little").tobytes()

    def __missing__(self, letter: str) -> int:
        """Looks a letter up."""
        plain = _PLAIN.find(letter)
        if plain < 0:
            found = bits(self._codes == ord(letter))
        else:
            found = int.from_bytes(self._plain[plain * self._width : (plain + 1) * self._width], "little")
        self[letter] = found
        return found


class _Alike(dict[str, int]):
    """The places of letters and of those that look much like them, worked out when first asked for."""

    def __init__(self, places: Mapping[str, int], lost: int) -> None:
        super().__init__()
        self._places = places
        self._lost = lost

    def __missing__(self, letter: str) -> int:
        """Looks a letter up."""
        places = self._places
        found = places[letter]
        for other in CLOSE.get(letter, ""):
            found |= places[other]
        if self._lost and not letter.isdigit():
            found |= self._lost
        self[letter] = found
        return found


class _StandIns(dict[str, Sequence[Jump]]):
    """What stands for groups of letters, worked out when first asked for."""

    def __init__(self, letters: str, places: Mapping[str, int], lost: int) -> None:
        super().__init__()
        self._letters = letters
        self._places = places
        self._lost = lost

    def __missing__(self, group: str) -> Sequence[Jump]:
        """Looks a group up."""
        # As one set for each length: the search takes them together.
        widths: dict[int, int] = {}
        for other in BROKEN_LETTERS.get(group, ()):
            # Most are on no page: to read it through takes less than to make their sets.
            if other in self._letters:
                widths[len(other)] = widths.get(len(other), 0) | self._begun(other)
        jumps = [(len(group), found, width) for width, found in widths.items()]
        if self._lost and (group in LIGATURES or (len(group) == _PAIR and group.isalpha())):
            jumps.append((len(group), self._lost, 1))
        self[group] = jumps
        return jumps

    def _begun(self, letters: str) -> int:
        """The places where some letters begin."""
        found = self._places[letters[0]]
        for offset, letter in enumerate(letters[1:], start=1):
            found &= self._places[letter] >> offset
        return found


def bits(flags: NDArray[np.bool_]) -> int:
    """The set of the places that are flagged."""
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")
