"""What is read out of a server's JSON, of which every part may be missing or of another kind. Pure."""

import json
import math
from collections.abc import Mapping
from typing import Final

from preannotation_assets.visible_text import visible_line

__all__ = [
    "as_count",
    "as_json",
    "as_mapping",
    "as_name",
    "as_number",
    "as_seconds",
    "as_text",
    "load_object",
]

_MOST: Final = 2**31 - 1
# Names may be paths of files.
_LONGEST_NAME: Final = 500
# Above 4,300 digits int() refuses (sys.set_int_max_str_digits); no figure of a server has that many.
_MOST_DIGITS: Final = 400
# No time-out is as long: 12 days.
_LONGEST_SECONDS: Final = 1e6


def load_object(content: bytes | str) -> dict[str, object] | None:
    """A JSON object; None where the content is none. An integer of hundreds of digits is infinite."""
    try:
        payload = _load(content)
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None


def as_json(value: object) -> str:
    """A value out of a JSON text, as JSON; "" where it is nested too deep to be written."""
    try:
        return json.dumps(value)
    except RecursionError:
        return ""


def as_mapping(value: object) -> Mapping[str, object]:
    """The value, or an empty one where it is no object."""
    return value if isinstance(value, Mapping) else {}


def as_text(value: object) -> str | None:
    """The value where it is a text."""
    return value if isinstance(value, str) else None


def as_name(value: object) -> str | None:
    """The value where it is a text, in one line that can be shown and encoded."""
    return visible_line(value.strip(), _LONGEST_NAME) if isinstance(value, str) else None


def as_count(value: object) -> int | None:
    """The value where it is a whole number of at least 0 that a column of counts (int32) can hold."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MOST else None


def as_number(value: object) -> float:
    """The value as a float; not a number where it is none, or one that no float holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def as_seconds(value: object, of_a_second: float) -> float | None:
    """A duration in seconds; ``of_a_second`` says how many of its unit are one.

    None where it is no number, below 0, or longer than any request may take.
    """
    seconds = as_number(value) / of_a_second
    return seconds if 0 <= seconds <= _LONGEST_SECONDS else None


def _load(content: bytes | str) -> object:
    try:
        return json.loads(content)
    except ValueError:
        # Slower, and it reads what is right but for a number of thousands of digits.
        return json.loads(content, parse_int=_parse_int)


def _parse_int(digits: str) -> int | float:
    if len(digits) <= _MOST_DIGITS:
        return int(digits)
    return -math.inf if digits.startswith("-") else math.inf
