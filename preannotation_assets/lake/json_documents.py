"""JSON read and written a piece at a time: lists of many items need not be in memory at once.

What is read is what ``json.loads`` makes of the same bytes, and is refused where it refuses.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from typing import BinaryIO, Final, TypeAlias

__all__ = ["Gather", "json_pieces", "read_document"]

Gather: TypeAlias = Callable[[Iterator[object]], object]
"""Makes a value of a list's items, which come one after the other; those that it leaves are read over."""

_PIECE_BYTES: Final = 2**16
_ITEMS_AT_ONCE: Final = 1_000
_BEHIND_VALUES: Final = (",", ":", "]", "}")
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_DECODER: Final = json.JSONDecoder()
_ENCODER: Final = json.JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)


def read_document(source: BinaryIO, lists: Mapping[str, Gather]) -> object:
    """The document that a file has; of an object, each of ``lists`` that is one is what its function gives.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    text = _Text(source)
    document = dict(_members(text, lists)) if text.next() == "{" else text.value()
    if text.next():
        raise ValueError("there is more behind the document")
    return document


def _members(text: "_Text", lists: Mapping[str, Gather]) -> Iterator[tuple[str, object]]:
    for _ in _items(text, "{", "}"):
        if text.next() != '"':
            raise ValueError("a name is not in quotes")
        name = str(text.value())
        text.take(":")
        if name in lists and text.next() == "[":
            items = chain.from_iterable(text.values() for _ in _items(text, "[", "]"))
            yield name, lists[name](items)
            for _ in items:
                pass
        else:
            yield name, text.value()


def _items(text: "_Text", opening: str, closing: str) -> Iterator[None]:
    """Comes by before each item of a list or an object; the caller then reads it, and any that follow."""
    text.take(opening)
    if text.next() == closing:
        text.take(closing)
        return
    yield
    while text.take(f",{closing}") == ",":
        yield


class _Text:
    """The characters of a file, of which one value and what of its piece is behind it are held."""

    def __init__(self, source: BinaryIO) -> None:
        first = source.read(_PIECE_BYTES)
        self._source = source
        self._decoder = codecs.getincrementaldecoder(json.detect_encoding(first))("surrogatepass")
        self._text = self._decoder.decode(first)
        self._at = 0
        self._is_whole = False
        self._tried = 0

    def next(self) -> str:
        """The next character that is no space; nothing at the end."""
        # Most often: what is behind a value.
        if self._text[self._at : self._at + 1] in _BEHIND_VALUES:
            return self._text[self._at]
        while (at := self._behind_space(self._at)) == len(self._text) and not self._is_whole:
            self._read_on()
        self._at = at
        return self._text[at : at + 1]

    def take(self, expected: str) -> str:
        """Goes behind the next character, which must be one of these."""
        found = self.next()
        if not found or found not in expected:
            raise ValueError(f"there is none of {expected}")
        self._at += 1
        return found

    def value(self) -> object:
        """Goes behind the next value."""
        while True:
            self.next()
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except ValueError:
                if self._is_whole:
                    raise
            else:
                behind = self._behind_space(end)
                # What of a number is in this piece may be a number too.
                if self._is_whole or self._text[behind : behind + 1] in _BEHIND_VALUES:
                    self._at = behind
                    return value
            self._read_on()

    def values(self) -> list[object]:
        """Goes behind the next value of a list, and those that follow up to the last brace that is there.

        Where these are whole values they are decoded at once, which takes a third of the time.
        """
        last = self._text.rfind("}", self._at) + 1
        if last > self._tried:
            try:
                found: list[object] = _DECODER.decode(f"[{self._text[self._at : last]}]")
            except ValueError:
                self._tried = last
            else:
                self._at = last
                return found
        return [self.value()]

    def _behind_space(self, start: int) -> int:
        found = _SPACE.match(self._text, start)
        return found.end() if found else start

    def _read_on(self) -> None:
        """Holds the next piece too: as much again as there is, so that a long value is tried a few times."""
        rest = self._text[self._at :]
        piece = self._source.read(max(_PIECE_BYTES, len(rest)))
        self._is_whole = not piece
        self._text = rest + self._decoder.decode(piece, final=not piece)
        self._at = self._tried = 0


def json_pieces(value: Mapping[str, object]) -> Iterator[str]:
    """A JSON object, piece by piece: keys sorted, indented by 2. Iterators are written as lists.

    Raises:
        TypeError: a value has no form in JSON.
        ValueError: a number is infinite or not a number.
    """
    separator = "{"
    for name, member in sorted(value.items()):
        yield f"{separator}\n  {_ENCODER.encode(name)}: "
        if isinstance(member, Iterator):
            yield from _list_pieces(member)
        else:
            yield _indented(_ENCODER.encode(member))
        separator = ","
    yield "\n}" if value else "{}"


def _list_pieces(items: Iterator[object]) -> Iterator[str]:
    separator = "["
    while some := list(islice(items, _ITEMS_AT_ONCE)):
        # Without the bracket before them, and the line with that behind.
        yield f"{separator}{_indented(_ENCODER.encode(some)[1:-2])}"
        separator = ","
    yield "[]" if separator == "[" else "\n  ]"


def _indented(encoded: str) -> str:
    # No line ends within a text of JSON.
    return encoded.replace("\n", "\n  ")
