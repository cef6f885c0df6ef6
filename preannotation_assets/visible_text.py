"""Text from outside, as it may be shown: on a terminal, in a log, in metadata. Pure.

A terminal obeys control characters, and characters that turn the direction of writing make a line say
something else than it does.
"""

import re
import unicodedata
from typing import Final

__all__ = ["plain_name", "visible", "visible_line"]

# Control pictures begin at U+2400, in the order of the control characters they show.
_CONTROL_PICTURES: Final = 0x2400
_FIRST_PRINTABLE: Final = 0x20
_DELETE: Final = 0x7F
_DELETE_PICTURE: Final = "\u2421"
_TAB: Final = "    "
_ELLIPSIS: Final = "\u2026"
_LONGEST_LINE: Final = 80
# Control, format, surrogate, private use, unassigned; line and paragraph separator.
_INVISIBLE: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
# Emoji and many scripts are joined by them, and they turn nothing round.
_JOINERS: Final = frozenset("\u200c\u200d")
# Names of models, paths and versions; what a server repeats of a request has blanks or quotation marks.
_PLAIN: Final = re.compile(r"[\w./:@+~\\-]{1,100}")


def visible(text: str) -> str:
    """The text with every character that a terminal would obey, or not show, as a visible sign.

    Line feeds stay, tabs become four spaces.
    """
    return "".join(map(_visible_character, text))


def visible_line(text: str, longest: int = _LONGEST_LINE) -> str:
    """The text as ``visible`` gives it, in one line of at most so many characters.

    For a name, a version or an id that somebody else chose. A text that is cut ends in an ellipsis.
    """
    # What is cut off is not looked at: a server may send megabytes.
    line = visible(text[: longest + 1]).replace("\n", chr(_CONTROL_PICTURES + ord("\n")))
    return line if len(line) <= longest else line[: max(0, longest - 1)] + _ELLIPSIS


def plain_name(text: str) -> str | None:
    """The text where it can be a name or a version: one word of at most 100 characters; else None.

    For a message or a log: a server that repeats what it was sent in the place of its name would have page
    text or a key in it.
    """
    return text if _PLAIN.fullmatch(text) else None


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
