"""Numbers as a reader takes them in. Pure."""

from typing import Final

from preannotation_assets.visible_text import visible

__all__ = ["WIDTH", "count_words", "duration_words", "rule"]

WIDTH: Final = 100
"""Columns of a terminal."""

_HOUR: Final = 3600.0
_MINUTE: Final = 60.0
_TWO_DIGITS: Final = 10


def rule(title: str) -> str:
    """A line across the terminal with a title in it."""
    return f"── {visible(title)} ".ljust(WIDTH, "─")


def duration_words(seconds: float) -> str:
    """Two digits, in hours where it is an hour or more; a projection is no better than that."""
    for unit, length in (("h", _HOUR), ("min", _MINUTE)):
        if seconds >= length:
            amount = seconds / length
            return f"{amount:,.0f} {unit}" if amount >= _TWO_DIGITS else f"{amount:.1f} {unit}"
    return f"{seconds:.1f} s"


def count_words(number: int, noun: str) -> str:
    """A number with its noun, which an s makes plural."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
