"""Whether the servers reuse what all prompts begin with: told while a run asks, and known at its end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from preannotation_assets.model_servers.prefix_reuse import PrefixReadings, Reading
from preannotation_assets.throttling.permit_messages import PermitReport

__all__ = ["PrefixWatch", "warned_of_rereading"]

_READ_ANEW_BELOW: Final = 0.5
_FEWEST_PAGES: Final = 20
_STOP_SECONDS: Final = 10.0


class PrefixWatch:
    """Takes the reports of a run; ``constant_tokens`` is the estimate of what each prompt begins with."""

    def __init__(self, constant_tokens: int) -> None:
        self._constant_tokens = constant_tokens
        self._readings: dict[str, PrefixReadings] = {}
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    def observe(self, endpoint: str, report: PermitReport) -> None:
        """Takes note of a request; a text that was asked before is passed over: it is cached itself."""
        page = Reading(
            report.prompt_tokens, report.prompt_seconds, report.cached_tokens, report.estimated_prompt_tokens
        )
        warm_up = Reading(report.warm_up_prompt_tokens, report.warm_up_prompt_seconds)
        with self._lock:
            readings = self._readings.setdefault(endpoint, PrefixReadings(self._constant_tokens))
            if report.warm_up_seconds is not None:
                readings.warm_ups.append(warm_up)
            if report.attempt == 1 and report.prompt_tokens is not None:
                readings.pages.append(page)

    def shares(self) -> dict[str, float]:
        """The share of the constant part that is not read anew, by endpoint, where it is known."""
        known = {endpoint: readings.reused() for endpoint, readings in self._snapshot().items()}
        return {endpoint: round(share, 2) for endpoint, share in known.items() if share is not None}

    def warnings(self) -> list[str]:
        """A line about each endpoint that reads most of the constant part anew with each page; once each."""
        lines = []
        for endpoint, readings in self._snapshot().items():
            share = readings.reused() if len(readings.pages) >= _FEWEST_PAGES else None
            if share is not None and share < _READ_ANEW_BELOW and endpoint not in self._warned:
                self._warned.add(endpoint)
                lines.append(_warning(endpoint, share, readings.constant_tokens))
        return lines

    def _snapshot(self) -> dict[str, PrefixReadings]:
        with self._lock:
            return {
                endpoint: replace(readings, pages=readings.pages.copy(), warm_ups=[*readings.warm_ups])
                for endpoint, readings in self._readings.items()
            }


@contextmanager
def warned_of_rereading(
    watch: PrefixWatch, warn: Callable[[str], None], interval_seconds: float
) -> Iterator[None]:
    """Passes the watch's warnings on every ``interval_seconds`` while the body runs, and at its end."""
    finished = threading.Event()

    def look() -> None:
        while not finished.wait(interval_seconds):
            for line in watch.warnings():
                warn(line)

    looking = threading.Thread(target=look, name="prefix-watch", daemon=True)
    looking.start()
    try:
        yield
    finally:
        finished.set()
        looking.join(_STOP_SECONDS)
        for line in watch.warnings():
            warn(line)


def _warning(endpoint: str, share: float, constant_tokens: float) -> str:
    return (
        f"{endpoint} reads about {1 - share:.0%} of the {constant_tokens:.0f} tokens before each page anew:"
        " set PREANNOTATION_MAX_IN_FLIGHT to the slots it has, switch its prefix cache on,"
        " or take a model without a sliding window"
    )
