"""Simulated time: seconds of the time model, waited for at a chosen speed."""

import asyncio
import time
from dataclasses import dataclass

__all__ = ["SimulatedClock"]


@dataclass(frozen=True, slots=True)
class SimulatedClock:
    """Turns simulated seconds into waiting and back.

    ``speed`` divides the waiting; at 0 there is none, and simulated time is real time.
    """

    speed: float

    def now(self) -> float:
        """Real seconds from an arbitrary start that never go back."""
        return time.monotonic()

    def real_seconds(self, simulated: float) -> float:
        """How long ``simulated`` seconds take."""
        return simulated / self.speed if self.speed else 0.0

    def simulated_seconds(self, real: float) -> float:
        """How many simulated seconds pass in ``real`` seconds."""
        return real * (self.speed or 1.0)

    async def sleep(self, simulated: float) -> None:
        """Wait for ``simulated`` seconds at the speed set."""
        await asyncio.sleep(self.real_seconds(simulated))
