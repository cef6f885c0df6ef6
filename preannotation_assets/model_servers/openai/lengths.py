"""Lengths that are checked in an answer, because not every grammar can bound them. Pure."""

import re
from typing import Final

from preannotation_assets.extraction.answers import parse_answer
from preannotation_assets.extraction.labels import MOST_QUOTE_CHARACTERS

__all__ = ["has_too_long_quote"]

# Cheap, and in nearly every answer all there is to do; escapes may make a string look longer than it is.
_LONG_STRING: Final = re.compile(rf'[^"]{{{MOST_QUOTE_CHARACTERS + 1},}}|\\"')


def has_too_long_quote(answer: str) -> bool:
    """Whether a quote of an answer is longer than the answer schema allows."""
    if not _LONG_STRING.search(answer):
        return False
    return any(len(quote.text) > MOST_QUOTE_CHARACTERS for quote in parse_answer(answer).quotes)
