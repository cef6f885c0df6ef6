"""What is read out of a server's JSON, of which every part may be missing or of another kind. Pure."""

import json
import sys
from collections.abc import Mapping
from typing import Final

from preannotation_assets.visible_text import visible_line

__all__ = ["as_count", "as_mapping", "as_name", "as_number", "as_text", "load_object"]

_MOST: Final = 2**31 - 1
# Names may be paths of files.
_LONGEST_NAME: Final = 500


def load_object(content: bytes | str) -> dict[str, object] | None:
    """A JSON object; None where the content is none."""
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None


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


def as_number(value: object) -> float | None:
    """The value where it is a number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
        return None
    return float(value)
