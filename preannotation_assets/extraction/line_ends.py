"""What ends a line, and the signs that print and OCR engines leave where it does so inside a word."""

from typing import Final

__all__ = ["LINE_BREAKS", "LINE_END_SIGNS", "break_class", "sign_class"]

LINE_END_SIGNS: Final = (
    "-"
    "\u00ad"  # soft hyphen
    "\u2010\u2011\u2012\u2013\u2014\u2015"  # hyphens and dashes
    "\u2212\ufe58\ufe63\uff0d"  # minus, small and wide forms
    "\u00ac\u02d7\u2e17\u2e1a\u2e40"  # not sign, modifier minus, double oblique, diaeresis and double hyphen
    "=~_"  # how engines read the double hyphen of blackletter, and worn ones
    "\u058a\u05be\u1400\u1806\u30a0"  # of Armenian, Hebrew, Canadian syllabics, Mongolian, Japanese
    "\u0002\ufffe\uffff"  # what PDF libraries write for a hyphen that the text layer hides
)
"""One character a sign; any of them may stand before a line break with a word going on behind it."""

LINE_BREAKS: Final = "\n\r\v\f\x85\u2028\u2029"
"""One character a break; CR LF is one break all the same."""


def sign_class() -> str:
    """The signs as the inside of a character class, for `re` and for `regex`."""
    return _class(LINE_END_SIGNS)


def break_class() -> str:
    """The breaks as the inside of a character class, for `re` and for `regex`."""
    return _class(LINE_BREAKS)


def _class(characters: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in characters)
