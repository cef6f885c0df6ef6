"""How often and how patiently a request is repeated. Pure."""

import random
from dataclasses import dataclass
from typing import Final

__all__ = ["LONGEST_RETRY_AFTER", "RetryPolicy"]

LONGEST_RETRY_AFTER: Final = 3600.0
"""Seconds that a server is left alone at its own wish, at most; then it is asked again, whatever it said."""

_MOST_DOUBLINGS: Final = 30


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a request is repeated; times are seconds.

    ``variations`` is how often an unusable answer is asked for again with another seed.
    """

    attempts: int = 6
    first_backoff: float = 1.0
    longest_backoff: float = 60.0
    variations: int = 1

    def delay(self, failures: int, retry_after: float | None, random_source: random.Random) -> float:
        """Exponential backoff with full jitter, and never before Retry-After.

        The formula is AWS's "full jitter": uniform between 0 and min(cap, base * 2^n).
        """
        ceiling = min(
            self.longest_backoff, self.first_backoff * 2.0 ** min(max(0, failures - 1), _MOST_DOUBLINGS)
        )
        jittered = random_source.uniform(0.0, ceiling)
        return max(jittered, min(retry_after or 0.0, LONGEST_RETRY_AFTER))
