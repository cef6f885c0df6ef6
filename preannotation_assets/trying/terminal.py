"""Pages and marks on a terminal, with colours or without. Pure; text in, text out.

What a page holds is shown and never obeyed: control characters, and those that turn the direction of
writing, come out as visible signs, so that no page can move the cursor or set a title.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

__all__ = ["ColourStyle", "Mark", "PlainStyle", "Style", "colours_of", "display_width", "fit", "visible"]

# Control pictures begin at U+2400, in the order of the control characters they show.
_CONTROL_PICTURES: Final = 0x2400
_FIRST_PRINTABLE: Final = 0x20
_DELETE: Final = 0x7F
_DELETE_PICTURE: Final = "\u2421"
_TAB: Final = "    "
# Control, format, surrogate, private use, unassigned; line and paragraph separator.
_INVISIBLE: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
# Emoji and many scripts are joined by them, and they turn nothing round.
_JOINERS: Final = frozenset("\u200c\u200d")
_WITHOUT_WIDTH: Final = frozenset(("Mn", "Me"))
_WIDE: Final = frozenset("WF")

# Light backgrounds of the 256-colour palette, neighbours far apart in hue; the text on them is black.
_PALETTE: Final = (222, 117, 150, 218, 183, 216, 159, 192, 228, 147, 174, 115, 180, 189, 207, 153)
_BLACK: Final = 16
_RESET: Final = "\x1b[0m"
_BOLD: Final = "\x1b[1m"
_FAINT: Final = "\x1b[2m"


@dataclass(frozen=True, slots=True)
class Mark:
    """A labelled place: ``text[start:end]``, in code points, not empty."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch between two borders, the marks on it, and those that begin before or end behind it.

    ``covering`` has the innermost mark last; ``closing`` has it first.
    """

    text: str
    opening: tuple[Mark, ...]
    covering: tuple[Mark, ...]
    closing: tuple[Mark, ...]


def visible(text: str) -> str:
    """The text with every character that a terminal would obey, or not show, as a visible sign.

    Line feeds stay, tabs become four spaces.
    """
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    if character == "\n" or character in _JOINERS:
        return character
    if character == "\t":
        return _TAB
    code = ord(character)
    if code < _FIRST_PRINTABLE:
        return chr(_CONTROL_PICTURES + code)
    if code == _DELETE:
        return _DELETE_PICTURE
    if unicodedata.category(character) in _INVISIBLE:
        return f"<U+{code:04X}>"
    return character


def display_width(text: str) -> int:
    """How many columns a terminal gives to a line (UAX #11: wide and full-width characters have two)."""
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if character in _JOINERS or unicodedata.category(character) in _WITHOUT_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1


def fit(text: str, width: int) -> str:
    """The text in at most ``width`` columns; one that is cut ends in an ellipsis."""
    if display_width(text) <= width:
        return text
    reached = 0
    for index, character in enumerate(text):
        reached += _character_width(character)
        if reached > width - 1:
            return f"{text[:index]}\u2026"
    return text


class Style(Protocol):
    """How things are told apart on a terminal."""

    def heading(self, text: str) -> str:
        """A line that something new begins with."""
        ...

    def faint(self, text: str) -> str:
        """What matters less."""
        ...

    def label(self, name: str) -> str:
        """A label, as it looks on the page."""
        ...

    def page(self, text: str, marks: Sequence[Mark]) -> str:
        """A text with its marks, which may overlap."""
        ...


@dataclass(frozen=True, slots=True)
class PlainStyle:
    """No colours: ``[label: text]``. Where marks overlap, ``]label`` closes one that is not the innermost."""

    def heading(self, text: str) -> str:
        """The text as it is."""
        return text

    def faint(self, text: str) -> str:
        """The text as it is."""
        return text

    def label(self, name: str) -> str:
        """The name as it is."""
        return visible(name)

    def page(self, text: str, marks: Sequence[Mark]) -> str:
        """The text with its marks in brackets."""
        shown: list[str] = []
        for piece in _pieces(text, marks):
            shown += [f"[{visible(mark.label)}: " for mark in piece.opening]
            shown.append(visible(piece.text))
            still_open = list(piece.covering)
            for mark in piece.closing:
                shown.append("]" if still_open[-1] is mark else f"]{visible(mark.label)} ")
                still_open.remove(mark)
        return "".join(shown)


@dataclass(frozen=True, slots=True)
class ColourStyle:
    """Every label has a background of its own and stands, small, behind what it marks.

    ``colours`` are numbers of the 256-colour palette. What several marks cover has the innermost one's
    colour and a line below.
    """

    colours: Mapping[str, int]

    def heading(self, text: str) -> str:
        """Bold."""
        return f"{_BOLD}{text}{_RESET}"

    def faint(self, text: str) -> str:
        """Dim."""
        return f"{_FAINT}{text}{_RESET}"

    def label(self, name: str) -> str:
        """The name on its background."""
        return f"\x1b[{self._background(name)}m{visible(name)}{_RESET}"

    def page(self, text: str, marks: Sequence[Mark]) -> str:
        """The text with its marks in colours."""
        shown: list[str] = []
        for piece in _pieces(text, marks):
            shown.append(self._piece(piece))
            shown += [self._tag(mark.label) for mark in piece.closing]
        return "".join(shown)

    def _piece(self, piece: _Piece) -> str:
        if not piece.covering:
            return visible(piece.text)
        background = self._background(piece.covering[-1].label)
        begin = f"\x1b[{background};4m" if len(piece.covering) > 1 else f"\x1b[{background}m"
        # A terminal fills the rest of a line with the background it is left with.
        return "\n".join(f"{begin}{line}{_RESET}" if line else "" for line in visible(piece.text).split("\n"))

    def _background(self, label: str) -> str:
        return f"38;5;{_BLACK};48;5;{self.colours[label]}"

    def _tag(self, label: str) -> str:
        return f"\x1b[3;38;5;{self.colours[label]}m\u2039{visible(label)}\u203a{_RESET}"


def colours_of(labels: Sequence[str]) -> dict[str, int]:
    """A background for each label; with more labels than colours they begin again."""
    return {label: _PALETTE[index % len(_PALETTE)] for index, label in enumerate(labels)}


def _pieces(text: str, marks: Sequence[Mark]) -> Iterator[_Piece]:
    """The text cut where a mark begins or ends."""
    borders = sorted({0, len(text), *(mark.start for mark in marks), *(mark.end for mark in marks)})
    # The longest of those that begin together is the outermost.
    waiting = sorted(marks, key=lambda mark: (mark.start, -mark.end, mark.label), reverse=True)
    covering: list[Mark] = []
    for start, end in pairwise(borders):
        opening: list[Mark] = []
        while waiting and waiting[-1].start <= start:
            opening.append(waiting.pop())
        covering += opening
        closing = tuple(mark for mark in reversed(covering) if mark.end <= end)
        yield _Piece(text[start:end], tuple(opening), tuple(covering), closing)
        covering = [mark for mark in covering if mark.end > end]
