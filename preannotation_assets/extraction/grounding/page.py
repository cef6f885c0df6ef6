"""A page made ready for searching: the places of its letters as bit vectors.

A set of places on the page is one Python integer. In a *letter set* bit ``i`` stands for letter ``i``;
in a *boundary set* bit ``i`` stands for the boundary before letter ``i``, so that a page of ``n``
letters has the boundaries 0 to ``n``. Shifts and bitwise operators then work on the whole page at once.
"""

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from .folding import fold
from .letter_sets import LetterSets, bits
from .reading import LOST_LETTER, read

__all__ = ["Page", "members"]

# So many members are taken from a set one by one; of a long page's set that takes longer for each.
_FEW = 8
# No character before it combines with another.
_FIRST_ACCENT = "\u0300"


class Page:
    """A page's text as a reader takes it, its letters, and where they are.

    ``starts`` and ``ends`` are the boundary sets where words start and end, and numbers that are glued to
    letters, if it ``has_glued`` ones; ``start_flags`` and ``end_flags`` have a byte that is not 0 for each of
    them, and ``word_starts`` and ``word_ends`` are ascending lists of those of words.
    Positions are those of ``text``; ``written_at`` says where that is on the page as it was given.
    """

    def __init__(self, text: str) -> None:
        self.as_given = text
        self._reading = read(text)
        self.text = self._reading.text
        self.is_read_otherwise = bool(self._reading.changes)
        folded = fold(self.text)
        self.letters = folded.letters
        self.has_lost_letters = LOST_LETTER in folded.letters
        self.word_starts, self.word_ends = folded.words[:-1], folded.words[1:]
        self._word_flags = self.start_flags = self.end_flags = folded.borders.tobytes()
        self._begins = self.word_starts
        self._close_flags = folded.closes
        self.has_glued = folded.begins is not folded.borders
        begins = closes = bits(folded.begins)
        if self.has_glued:
            self.start_flags, self.end_flags = folded.begins.tobytes(), folded.closes.tobytes()
            self._begins = folded.begins.nonzero()[0].tolist()[:-1]
            closes = bits(folded.closes)
        # Nothing starts behind the last letter, or ends before the first.
        self.starts = begins ^ 1 << len(self.letters)
        self.ends = closes ^ 1
        self._codes = folded.codes
        self._letter_sets: LetterSets | None = None
        self._closes: Sequence[int] = ()
        # As a view: its items are plain integers.
        self._origins = folded.origins.data

    @property
    def letter_sets(self) -> LetterSets:
        """Where which letters are."""
        if self._letter_sets is None:
            self._letter_sets = LetterSets(self.letters, self._codes, self.has_lost_letters)
        return self._letter_sets

    def starts_at(self, boundary: int) -> bool:
        """Whether a word starts at a boundary, or a number that is glued to letters."""
        return self.start_flags[boundary] != 0

    def ends_at(self, boundary: int) -> bool:
        """Whether a word ends at a boundary, or a number that is glued to letters."""
        return self.end_flags[boundary] != 0

    def is_glued_piece(self, first: int, last: int) -> bool:
        """Whether what starts and ends there is only a part of a word of letters and digits."""
        return not (self._word_flags[first] and self._word_flags[last])

    def is_glued(self, boundary: int) -> bool:
        """Whether a word begins inside a run of letters, by its capital or after a number."""
        if boundary == 0:
            return False
        before, after = self.text[self._origins[boundary - 1]], self.text[self._origins[boundary]]
        return (before.islower() and after.isupper()) or (before.isnumeric() and after.isalpha())

    def offsets(self, first: int, last: int) -> tuple[int, int]:
        """The code points between two boundaries: start and exclusive end, trailing accents included."""
        end: int = self._origins[last - 1] + 1
        while self.text[end : end + 1] >= _FIRST_ACCENT and unicodedata.combining(self.text[end]):
            end += 1
        return self._origins[first], end

    def written_at(self, start: int, end: int) -> tuple[int, int]:
        """Where on the page, as it was given, ``text[start:end]`` is written."""
        return self._reading.written(start, end) if self.is_read_otherwise else (start, end)

    def written(self, first: int, last: int) -> str:
        """The text between two boundaries."""
        start, end = self.offsets(first, last)
        return self.text[start:end]

    def origin(self, letter: int) -> int:
        """The code point that a letter was folded from."""
        return self._origins[letter]

    def starts_between(self, low: int, high: int) -> Sequence[int]:
        """The boundaries from ``low`` to ``high``, both included, where a word or number starts."""
        return self._begins[bisect_left(self._begins, low) : bisect_right(self._begins, high)]

    def ends_between(self, low: int, high: int) -> Sequence[int]:
        """The boundaries from ``low`` to ``high``, both included, where a word or number ends."""
        if not self._closes:
            self._closes = self._close_flags.nonzero()[0].tolist()[1:]
        return self._closes[bisect_left(self._closes, low) : bisect_right(self._closes, high)]

    def lost_letters_between(self, low: int, high: int) -> int:
        """How many letters are lost between two boundaries."""
        return self.letters.count(LOST_LETTER, max(0, low), high) if self.has_lost_letters else 0

    def tail(self, boundary: int) -> int:
        """How many letters of its word are behind a boundary; 0 where a word ends."""
        return self.word_ends[bisect_left(self.word_ends, boundary)] - boundary

    def words_between(self, low: int, high: int) -> int:
        """How many words start from the boundary ``low`` up to, not including, ``high``."""
        return bisect_left(self.word_starts, high) - bisect_left(self.word_starts, low)

    def words_within(self, low: int, high: int) -> Sequence[int]:
        """The boundaries from ``low`` up to, not including, ``high`` where words start."""
        return self.word_starts[bisect_left(self.word_starts, low) : bisect_left(self.word_starts, high)]

    def word_before(self, boundary: int) -> tuple[int, int]:
        """The word that ends at or before a boundary, as two boundaries; equal ones if there is none."""
        index = bisect_right(self.word_ends, boundary) - 1
        return (self.word_starts[index], self.word_ends[index]) if index >= 0 else (0, 0)

    def word_after(self, boundary: int) -> tuple[int, int]:
        """The word that starts at or after a boundary, as two boundaries; equal ones if there is none."""
        index = bisect_left(self.word_starts, boundary)
        if index == len(self.word_starts):
            return boundary, boundary
        return self.word_starts[index], self.word_ends[index]


def members(places: int) -> Iterator[int]:
    """The members of a set of places, in ascending order."""
    if places.bit_count() <= _FEW:
        while places:
            others = places & places - 1
            yield (places ^ others).bit_length() - 1
            places = others
        return
    digits = bin(places)
    last = position = len(digits) - 1
    while (position := digits.rfind("1", 0, position + 1)) >= 0:
        yield last - position
        position -= 1
