"""Characters that a reader does not see."""

import unicodedata
from typing import Final

__all__ = ["is_invisible", "without_invisible"]

# Unicode's default ignorable code points that are no format characters: joiners, fillers, selectors.
_IGNORABLE: Final = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x3164, 0xFFA0),
            *(*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
        ),
    )
)
# Layout that Unicode counts as letters: what stretches words of Arabic and N'Ko.
_STRETCHING: Final = frozenset("\u0640\u07fa")


def is_invisible(character: str) -> bool:
    """Whether a character is layout: a format character, one that is ignored, or what stretches a word."""
    return character in _IGNORABLE or character in _STRETCHING or unicodedata.category(character) == "Cf"


def without_invisible(text: str) -> str:
    """A text without its invisible characters."""
    return text if text.isascii() else "".join(each for each in text if not is_invisible(each))
