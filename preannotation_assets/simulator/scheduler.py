"""Which models are in memory: loading, reloading on changed options, unloading, and the load queue.

As in Ollama's scheduler, requests are let through one at a time: while one loads a model, all others
queue behind it, and a full queue refuses. A request that goes away while its model loads aborts the
load.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from preannotation_assets.simulator.clock import SimulatedClock
from preannotation_assets.simulator.refusals import load_failed, server_busy
from preannotation_assets.simulator.runner import Runner, RunnerDemand
from preannotation_assets.simulator.settings import SimulatorSettings

__all__ = ["Lease", "Scheduler"]


@dataclass(frozen=True, slots=True)
class Lease:
    """A loaded model held by a request.

    ``load_seconds`` is the simulated time until it was there, queueing behind other loads included;
    ``has_loaded`` says whether this request loaded it.
    """

    runner: Runner
    load_seconds: float
    has_loaded: bool


class Scheduler:
    """Holds the loaded models of one server."""

    def __init__(self, settings: SimulatorSettings, clock: SimulatedClock) -> None:
        """Start with nothing loaded."""
        self._settings = settings
        self._clock = clock
        self._runners: dict[str, Runner] = {}
        self._turn = asyncio.Lock()
        self._pending = 0

    @property
    def runners(self) -> tuple[Runner, ...]:
        """The models in memory, the latest used last."""
        return tuple(self._runners.values())

    @asynccontextmanager
    async def lease(
        self, demand: RunnerDemand, keep_alive: float, fails_to_load: bool = False
    ) -> AsyncIterator[Lease]:
        """Hold the model as demanded, loading it first if need be; ``keep_alive`` is real seconds.

        Raises ``RefusedError``: 503 where the queue is full, 500 where the load fails.
        """
        lease = await self._admit(demand, fails_to_load)
        try:
            yield lease
        finally:
            lease.runner.release()
            self._set_expiry(lease.runner, keep_alive)

    def crash(self, runner: Runner) -> None:
        """The runner dies: all its requests fail and the next one loads the model again."""
        runner.stop()
        self._forget(runner)

    def unload(self, model: str) -> None:
        """Unload a model that no request holds; one in use stays until its keep_alive ends."""
        runner = self._runners.get(model)
        if runner is not None and runner.holders == 0:
            self._forget(runner)

    def stop_all(self) -> None:
        """Crash every runner, as when the server ends."""
        for runner in self.runners:
            self.crash(runner)

    async def _admit(self, demand: RunnerDemand, fails_to_load: bool) -> Lease:
        if self._turn.locked() and self._pending >= self._settings.queue_limit:
            raise server_busy()
        started = self._clock.now()
        self._pending += 1
        try:
            await self._turn.acquire()
        finally:
            self._pending -= 1
        try:
            runner = self._runners.pop(demand.model, None)
            if runner is not None:
                self._runners[demand.model] = runner
            has_loaded = fails_to_load or runner is None or runner.demand != demand
            if has_loaded or runner is None:
                runner = await self._load(demand, fails_to_load)
            self._cancel_expiry(runner)
            runner.retain()
        finally:
            self._turn.release()
        waited = self._clock.simulated_seconds(self._clock.now() - started)
        least = self._settings.time.load_seconds if has_loaded else 0.0
        return Lease(runner, max(waited, least), has_loaded)

    async def _load(self, demand: RunnerDemand, fails_to_load: bool) -> Runner:
        await self._make_room(demand.model)
        await self._clock.sleep(self._settings.time.load_seconds)
        if fails_to_load:
            raise load_failed()
        runner = Runner(demand, self._settings.slots)
        self._runners[demand.model] = runner
        return runner

    async def _make_room(self, model: str) -> None:
        while True:
            runner = self._runners.get(model)
            if runner is None and len(self._runners) >= self._settings.loaded_models_limit:
                runner = next(iter(self._runners.values()))
            if runner is None:
                return
            await runner.idle.wait()
            self._forget(runner)

    def _set_expiry(self, runner: Runner, keep_alive: float) -> None:
        self._cancel_expiry(runner)
        runner.expires_at = time.time() + keep_alive
        if runner.holders or self._runners.get(runner.demand.model) is not runner:
            return
        if keep_alive <= 0:
            self._forget(runner)
        elif not math.isinf(keep_alive):
            loop = asyncio.get_running_loop()
            runner.expiry = loop.call_later(keep_alive, self._forget, runner)

    def _cancel_expiry(self, runner: Runner) -> None:
        if runner.expiry is not None:
            runner.expiry.cancel()
            runner.expiry = None

    def _forget(self, runner: Runner) -> None:
        self._cancel_expiry(runner)
        if self._runners.get(runner.demand.model) is runner:
            del self._runners[runner.demand.model]
