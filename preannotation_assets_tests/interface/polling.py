"""Waiting for what another process does."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["wait_for"]

T = TypeVar("T")

_PAUSE_SECONDS: Final = 0.2


def wait_for(probe: Callable[[], T | None], what: str, seconds: float) -> T:
    """The first result of ``probe`` that is neither None nor False nor empty."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:.0f} s")
        time.sleep(_PAUSE_SECONDS)
