"""A model's quote made ready for searching."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from .folding import FOLD_TABLE, SEPARATOR, has_unspaced
from .reading import may_read_otherwise, read
from .words import Word, split_words

__all__ = ["PreparedQuote", "prepare"]

_DIGITS = frozenset("0123456789")
_OPENING = frozenset("\"'`„“‘‚‛«‹»›([{<")  # noqa: RUF001 - typographic marks are the point
_CLOSING = frozenset("\"'`”’“‘»›«‹)]}>")  # noqa: RUF001


@dataclass(slots=True)
class PreparedQuote:
    """A quote without outer white space.

    ``verbatim`` is as the model wrote it, ``text`` as a reader takes it. ``letters`` are its folded letters,
    ``words`` the same split into words. ``text`` is ``prefix``, then ``core`` from the first to the last
    letter, then ``suffix``.
    """

    verbatim: str
    text: str
    letters: str
    words: Sequence[str]
    prefix: str
    core: str
    suffix: str
    has_digits: bool
    # What few quotes are asked for. A `cached_property` takes a lock, and makes all attributes slower.
    _word_ends: Sequence[int] | None = None
    _priced_words: Sequence[Word] | None = None

    @property
    def word_ends(self) -> Sequence[int]:
        """Where in the letters the words end."""
        if self._word_ends is None:
            self._word_ends = list(accumulate(map(len, self.words)))
        return self._word_ends

    @property
    def is_unspaced(self) -> bool:
        """Whether it has letters of a script without spaces, so that its words are none to count."""
        return has_unspaced(self.letters)

    @property
    def priced_words(self) -> Sequence[Word]:
        """The words as they are written, and what it costs to leave each of them out."""
        if self._priced_words is None:
            self._priced_words = split_words(self.text)
        return self._priced_words

    @property
    def enclosed(self) -> bool:
        """Whether the quote is between quotation marks or brackets."""
        return self.prefix[-1:] in _OPENING and self.suffix[:1] in _CLOSING


def prepare(text: str) -> PreparedQuote:
    """Folds a quote."""
    verbatim = text.strip()
    stripped = read(verbatim).text.strip() if may_read_otherwise(verbatim) else verbatim
    words = stripped.translate(FOLD_TABLE).split()
    first, last = 0, len(stripped)
    while first < last and FOLD_TABLE[ord(stripped[first])] in ("", SEPARATOR):
        first += 1
    while last > first and FOLD_TABLE[ord(stripped[last - 1])] == SEPARATOR:
        last -= 1
    letters = "".join(words)
    core = stripped[first:last]
    has_digits = not letters.isalpha() and not _DIGITS.isdisjoint(letters)
    # By place: names of arguments take as long as the quote takes to fold.
    return PreparedQuote(
        verbatim, stripped, letters, words, stripped[:first], core, stripped[last:], has_digits
    )
