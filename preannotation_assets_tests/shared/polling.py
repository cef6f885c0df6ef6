"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["wait_for"]

T = TypeVar("T")

_SHORTEST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.5
_PAUSES_A_LOOK: Final = 19


def wait_for(probe: Callable[[], T | None], what: str = "what is awaited", seconds: float = 60.0) -> T:
    """The first result of ``probe`` that is neither None nor False nor empty.

    A pause is so much longer than the look before it that looking takes a twentieth of a core, but half a
    second at most.

    Raises:
        AssertionError: there is none within so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        found = probe()
        if found:
            return found
        ended = time.monotonic()
        if ended > deadline:
            raise AssertionError(f"{what}: not within {seconds:.0f} s")
        time.sleep(min(max(_SHORTEST_PAUSE, _PAUSES_A_LOOK * (ended - began)), _LONGEST_PAUSE))
