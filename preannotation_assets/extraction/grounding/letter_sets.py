"""Where on a page which letters are: for every letter the set of its places, as one integer.

Made at the first search with repairs, for all plain letters and digits in a few operations on a matrix, with
one row a letter and one bit a place: one letter after the other takes several times as long.
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
_WORD: Final = 64
_WORDS: Final = np.dtype("<u8")
_BYTES: Final = 8
_ONE: Final = np.uint64(1)
_LAST: Final = np.uint64(_WORD - 1)
_PAIR: Final = 2
_PAIRS: Final = [group for group in BROKEN_LETTERS if len(group) == _PAIR]


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
        lost = bits(codes == ord(LOST_LETTER)) if has_lost_letters else 0
        # Neither refers to this object: what refers to itself is only freed by the garbage collector.
        sets = _Sets(letters)
        self.alike: Mapping[str, int] = _Alike(sets, codes, lost)
        self.stand_ins: Mapping[str, Sequence[Jump]] = _StandIns(sets, lost)


# The sets unite rows of a matrix, one a plain letter and one a pair: those of a letter and of what looks much
# like it, of the letters that a pair is taken for, of the pairs that a letter breaks into.
_ROWS: Final = {group: number for number, group in enumerate((*_PLAIN, *_PAIRS))}
_ALIKE: Final = {letter: number for number, letter in enumerate(_PLAIN)}
_STAND_INS: Final = {group: number for number, group in enumerate(BROKEN_LETTERS, start=len(_PLAIN))}
_UNITED: Final = [
    *([_ROWS[other] for other in letter + CLOSE.get(letter, "") if other in _ROWS] for letter in _ALIKE),
    *([_ROWS[other] for other in BROKEN_LETTERS[group]] for group in _STAND_INS),
]
# As all have as many, the first row of a set comes again.
_MOST: Final = max(map(len, _UNITED))
_MEMBERS: Final = np.array([(rows + rows[:1] * _MOST)[:_MOST] for rows in _UNITED], dtype=np.intp).T.copy()
_FIRSTS: Final = np.array([_ROWS[pair[0]] for pair in _PAIRS], dtype=np.intp)
_SECONDS: Final = np.array([_ROWS[pair[1]] for pair in _PAIRS], dtype=np.intp)


def _plain_rows(letters: str) -> NDArray[np.uint64]:
    """The places of the plain letters, 64 in a number, one row a letter."""
    # Letters that are not plain become a sign, which no letter is; what fills the last number is none either.
    width = -(-len(letters) // _WORD)
    narrow = np.frombuffer(letters.encode("latin-1", "replace").ljust(width * _WORD), np.uint8)
    packed = np.packbits(narrow == _PLAIN_CODES, bitorder="little")
    return packed.view(_WORDS).reshape(len(_PLAIN), width)


def _pairs(plain: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The places where the pairs of letters begin that some letter breaks into."""
    seconds = plain.take(_SECONDS, axis=0)
    # One place towards the start: the first bit of each number becomes the last one of the number before.
    begun = seconds >> _ONE
    begun[:, :-1] |= seconds[:, 1:] << _LAST
    begun &= plain.take(_FIRSTS, axis=0)
    return begun


class _Sets:
    """The sets that unite rows, each made an integer when it is asked for."""

    __slots__ = ("_sets", "_width")

    def __init__(self, letters: str) -> None:
        plain = _plain_rows(letters)
        rows = np.concatenate((plain, _pairs(plain)))
        self._width = rows.shape[1] * _BYTES
        self._sets = np.bitwise_or.reduce(rows.take(_MEMBERS, axis=0), axis=0).tobytes()

    def numbered(self, number: int) -> int:
        """A set by its number."""
        begin = number * self._width
        return int.from_bytes(self._sets[begin : begin + self._width], "little")


class _Alike(dict[str, int]):
    """The places of letters and of those that look much like them, worked out when first asked for."""

    def __init__(self, sets: _Sets, codes: NDArray[np.uint32], lost: int) -> None:
        super().__init__()
        self._sets = sets
        self._codes = codes
        self._lost = lost

    def __missing__(self, letter: str) -> int:
        """Looks a letter up."""
        number = _ALIKE.get(letter)
        found = self._sets.numbered(number) if number is not None else bits(self._codes == ord(letter))
        if letter in _CLOSE_TO_OTHERS:
            for other in CLOSE[letter]:
                found |= bits(self._codes == ord(other))
        if self._lost and not letter.isdigit():
            found |= self._lost
        self[letter] = found
        return found


# Letters of which one looks much like a letter that is not plain, or that are not plain themselves.
_CLOSE_TO_OTHERS: Final = frozenset(
    letter for letter, others in CLOSE.items() if not set(letter + others) <= set(_PLAIN)
)


class _StandIns(dict[str, Sequence[Jump]]):
    """What stands for groups of letters, worked out when first asked for."""

    def __init__(self, sets: _Sets, lost: int) -> None:
        super().__init__()
        self._sets = sets
        self._lost = lost

    def __missing__(self, group: str) -> Sequence[Jump]:
        """Looks a group up."""
        length = len(group)
        jumps: list[Jump] = []
        number = _STAND_INS.get(group)
        if number is not None and (found := self._sets.numbered(number)):
            jumps.append((length, found, 1 if length == _PAIR else _PAIR))
        if self._lost and (group in LIGATURES or (length == _PAIR and group.isalpha())):
            jumps.append((length, self._lost, 1))
        self[group] = jumps
        return jumps


def bits(flags: NDArray[np.bool_]) -> int:
    """The set of the places that are flagged."""
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")
