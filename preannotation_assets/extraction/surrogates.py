"""Halves of surrogate pairs, which JSON can escape though they are no text. Pure."""

import re
from typing import Final

__all__ = ["without_surrogates"]

_LONE_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """A text that a file can hold: half of a pair becomes a replacement character."""
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
