"""What a version of Ollama can do, by the changes that clients have to know of."""

import re
from dataclasses import dataclass

__all__ = ["Abilities", "abilities_of"]

_LOGPROBS_SINCE = (0, 12, 11)
_TRUNCATE_SINCE = (0, 12, 6)
_COUNTS_CACHED_SINCE = (0, 30, 1)
_CUTS_TO_HALF_SINCE = (0, 30, 11)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What differs between versions."""

    has_logprobs: bool
    obeys_truncate: bool
    counts_cached_tokens: bool
    cuts_to_half: bool


def abilities_of(version: str) -> Abilities:
    """The abilities of a version such as ``0.33.0-rc2``; a version without three numbers has all."""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if numbers is None:
        return Abilities(True, True, True, True)
    release = (int(numbers[1]), int(numbers[2]), int(numbers[3]))
    return Abilities(
        has_logprobs=release >= _LOGPROBS_SINCE,
        obeys_truncate=release >= _TRUNCATE_SINCE,
        counts_cached_tokens=release >= _COUNTS_CACHED_SINCE,
        cuts_to_half=release >= _CUTS_TO_HALF_SINCE,
    )
