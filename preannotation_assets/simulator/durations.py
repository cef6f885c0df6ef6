"""How long a model stays loaded: ``keep_alive`` as a number of seconds or a Go duration."""

import math
import re

from preannotation_assets.simulator.refusals import RefusedError
from preannotation_assets.simulator.values import JsonValue

__all__ = ["parse_keep_alive"]

_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")


def parse_keep_alive(value: JsonValue, default: float) -> float:
    """Seconds the model stays loaded after an answer; infinity for a negative value.

    Raises ``RefusedError`` (400) with Go's text for a string that is no duration, such as ``"300"``.
    """
    if value is None:
        return default
    if isinstance(value, str):
        seconds = _parse_duration(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        raise RefusedError(400, "invalid keep_alive: neither a number nor a duration")
    return math.inf if seconds < 0 else seconds


def _parse_duration(text: str) -> float:
    unsigned = text.lstrip("+-")
    if unsigned == "0":
        return 0.0
    if _NUMBER.fullmatch(text):
        raise RefusedError(400, f'time: missing unit in duration "{text}"')
    parts = list(_PART.finditer(unsigned))
    if not parts or "".join(part.group() for part in parts) != unsigned:
        raise RefusedError(400, f'time: invalid duration "{text}"')
    seconds = sum(float(part[1]) * _UNIT_SECONDS[part[2]] for part in parts)
    return -seconds if text.startswith("-") else seconds
