"""A text as a reader takes it: character references resolved, lost and foreign letters recognised."""

import re
from bisect import bisect_right
from codecs import utf_32_le_encode
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from preannotation_assets.extraction.character_references import REFERENCE, resolve

from .lookalikes import LATIN_CAPITALS

__all__ = ["LOST_LETTER", "Reading", "code_points", "may_read_otherwise", "read"]

LOST_LETTER: Final = "\ufffd"
"""Stands for one letter or more that the page has lost."""

# What decoders, fonts and PDF libraries leave for letters that they do not know, and how the first of these
# reads where its bytes were taken for Latin-1.
_LOST: Final = r"\ufffc\ufffd\u25a1\u25af\ue000-\uf8ff\x01\x03-\x08\x0e-\x1b\x7f"
_LOST_TWICE: Final = "\u00ef\u00bf\u00bd"
_UNREADABLE: Final = re.compile(
    rf"(?P<reference>{REFERENCE})|(?P<lost>(?:[{_LOST}]|{_LOST_TWICE})+)|(?P<inverted>\u00bf+)|\?+"
)
_PAIR: Final = 2
_INSIDE_A_SENTENCE: Final = frozenset(",;")
_NEXT: Final = re.compile(r"\s*(\S?)")
_QUESTION_IN_WORD: Final = re.compile(r"\?(?<=[^\W\d_]\?)(?=[^\W\d_])")

# Symbols that are a broken letter when letters stand on both sides of them.
_SYMBOLS: Final[Mapping[str, str]] = {"!": "i", "|": "l", "€": "e", "$": "s", "@": "a", "¢": "c"}
# The symbol first, then what is before it: an expression that begins with a set is scanned for fast.
_SYMBOL_IN_WORD: Final = re.compile(r"[!|€$@¢](?<=[^\W\d_].)(?=[^\W\d_])")

# Small letters of other scripts that look like Latin ones, although their capitals do not.
_FIRST_FOREIGN: Final = "\u0370"
_LAST_FOREIGN: Final = "\u052f"
_FOREIGN: Final = re.compile(rf"[{_FIRST_FOREIGN}-{_LAST_FOREIGN}]")
# Such a letter, or an ancient Greek one, beside a letter that is none: few pages have a word like that.
_SCRIPTS: Final = r"\u0370-\u052f\u1f00-\u1fff"
_MIXED: Final = re.compile(rf"[{_SCRIPTS}](?:(?<=[^\W\d_{_SCRIPTS}].)|(?=[^\W\d_{_SCRIPTS}]))")
_WORD: Final = re.compile(r"[^\W\d_]+")
_TO_READ: Final = re.compile(rf"[&?!|€$@¢\u00bf\u0370-\u052f{_LOST}]")
# A long text is looked up in a table at once: the expression, which looks at one character after the other,
# takes ten times as long. The last of the table's code points is no sign, nor is any beyond.
_CODE_POINT: Final = np.dtype("<u4")
_LAST_CODE: Final = 0xFFFF
_LONG_TEXT: Final = 200
_LATIN: Final = re.compile(r"[A-Za-z\u00c0-\u024f]")
_MOSTLY: Final = 2
_LATIN_SHAPES: Final = str.maketrans("νυηωσγπпгиьшлт", "vunwoynnrubwnt")
# Letters that no Greek or Cyrillic one is taken for, and those of these that are taken for no Latin one.
_ONLY_LATIN: Final = re.compile(r"[DFGLRSZdfglsz]")
_TAKEN_FOR_LATIN: Final = "".join(
    (*map(chr, _LATIN_SHAPES), *LATIN_CAPITALS, *map(str.upper, LATIN_CAPITALS))
)
_ONLY_FOREIGN: Final = re.compile(rf"(?![{_TAKEN_FOR_LATIN}])[\u0370-\u052f]")


class Reading(NamedTuple):
    """What a text reads as.

    ``changes`` are the places that do not read as they are written: where each begins and ends in the
    reading, and where in the text, ascending.
    """

    text: str
    changes: Sequence[tuple[int, int, int, int]]

    def written(self, start: int, end: int) -> tuple[int, int]:
        """Where in the text ``reading.text[start:end]`` is written; ``start`` is below ``end``."""
        return self._origin(start)[0], self._origin(end - 1)[1]

    def _origin(self, position: int) -> tuple[int, int]:
        index = bisect_right(self.changes, position, key=lambda change: change[0]) - 1
        if index < 0:
            return position, position + 1
        _, read_to, written_from, written_to = self.changes[index]
        if position < read_to:
            return written_from, written_to
        return written_to + position - read_to, written_to + position - read_to + 1


def read(text: str) -> Reading:
    """Reads a text: every letter that stands for others, or for a lost one, becomes what it stands for."""
    places = _to_read(text)
    if not places:
        return Reading(text, ())
    changes: Sequence[tuple[int, int, int, int]] = ()
    signs = _signs(text, places)
    if signs:
        text, changes = _legible(text, signs)
        if changes:
            places = _to_read(text)
            signs = _signs(text, places)
        if any(_SYMBOL_IN_WORD.match(text, place) for place in signs):
            text = _SYMBOL_IN_WORD.sub(lambda match: _SYMBOLS[match.group()], text)
    if len(signs) < len(places):
        text = _without_mixed_words(text)
    return Reading(text, changes)


def may_read_otherwise(text: str) -> bool:
    """Whether a short text has a sign that may read as another."""
    return _TO_READ.search(text) is not None


def _to_read(text: str) -> list[int]:
    """Where in a text the characters are that may read as others."""
    if len(text) < _LONG_TEXT:
        return [found.start() for found in _TO_READ.finditer(text)] if _TO_READ.search(text) else []
    places: list[int] = _ARE_TO_READ.take(code_points(text), mode="clip").nonzero()[0].tolist()
    return places


def _signs(text: str, places: Sequence[int]) -> Sequence[int]:
    """Those of the places of what is to be read that have no letter of another script."""
    return [place for place in places if not _FIRST_FOREIGN <= text[place] <= _LAST_FOREIGN]


def code_points(text: str) -> NDArray[np.uint32]:
    """The code points of a text."""
    return np.frombuffer(utf_32_le_encode(text, "surrogatepass")[0], dtype=_CODE_POINT)


def _legible(text: str, places: Sequence[int]) -> Reading:
    """The text with what its references and lost letters mean, of which all begin at some of the places."""
    pieces: list[str] = []
    changes: list[tuple[int, int, int, int]] = []
    done = length = seen = 0
    loses_letters = any(_QUESTION_IN_WORD.match(text, place) for place in places)
    for place in places:
        found = _UNREADABLE.match(text, _begin(text, place)) if place >= seen else None
        if found is None:
            continue
        start, seen = found.span()
        readable = _meaning(found, loses_letters)
        if readable is None:
            continue
        pieces += text[done:start], readable
        length += start - done
        # A reference to nothing leaves no place to come back to; the text around it keeps its places.
        changes.append((length, length + len(readable), start, seen))
        length += len(readable)
        done = seen
    pieces.append(text[done:])
    return Reading("".join(pieces), changes)


def _begin(text: str, place: int) -> int:
    """Where what a sign belongs to begins: a lost letter in Latin-1 has its sign in the middle."""
    return place - 1 if text[place - 1 : place + 2] == _LOST_TWICE else place


def _meaning(found: re.Match[str], loses_letters: bool) -> str | None:
    written = found.group()
    if found["reference"]:
        resolved = resolve(written)
        return resolved if resolved != written else None
    before, after = (
        found.string[max(0, found.start() - _PAIR) : found.start()],
        found.string[found.end() : found.end() + _PAIR],
    )
    if before[-1:].islower() and after[:1].isupper():
        return " "  # two words, with a sign between them
    if found["lost"]:
        return LOST_LETTER if before[-1:].isalnum() or after[:1].isalnum() else " "
    if found["inverted"]:
        return LOST_LETTER if before[-1:].isalpha() and after[:1].isalpha() else None
    return LOST_LETTER if _is_lost(before, after, found, loses_letters) else None


def _is_lost(before: str, after: str, found: re.Match[str], loses_letters: bool) -> bool:
    """Whether a question mark is a lost letter: inside a word, or at its edge where no sentence ends.

    ``loses_letters`` says that the page has one inside some word: there one at an edge is a lost letter too.
    """
    if before[-1:].isalpha() and after[:1].isalpha():
        return True
    if len(before) == _PAIR and before.isalpha():
        following = _NEXT.match(found.string, found.end())
        sign = following[1] if following else ""
        return loses_letters or sign.islower() or sign.isdigit() or sign in _INSIDE_A_SENTENCE
    return not before[-1:].strip() and len(after) == _PAIR and after.isalpha() and not after.istitle()


def _without_mixed_words(text: str) -> str:
    """The text with its mixed words in Latin."""
    pieces: list[str] = []
    done = 0
    for found in _MIXED.finditer(text):
        place = found.start()
        if place < done:
            continue
        start = max(done, text.rfind(" ", done, place) + 1)
        end = text.find(" ", place)
        end = end if end >= 0 else len(text)
        pieces += text[done:start], _WORD.sub(lambda word: _in_latin(word.group()), text[start:end])
        done = end
    pieces.append(text[done:])
    return "".join(pieces)


def _in_latin(word: str) -> str:
    if not _FOREIGN.search(word):
        return word
    is_latin = _MOSTLY * len(_LATIN.findall(word)) > len(word) or (
        _ONLY_LATIN.search(word) is not None and _ONLY_FOREIGN.search(word) is None
    )
    return word.translate(_LATIN_SHAPES) if is_latin else word


def _looked_up(signs: re.Pattern[str]) -> NDArray[np.bool_]:
    """For every code point up to the last whether an expression of single characters takes it."""
    taken = np.zeros(_LAST_CODE + 1, dtype=np.bool_)
    for found in signs.finditer("".join(map(chr, range(_LAST_CODE)))):
        taken[found.start() : found.end()] = True
    return taken


_ARE_TO_READ: Final = _looked_up(_TO_READ)
