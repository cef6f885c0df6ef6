"""A loaded model: its slots in first-come order, each with the prefix it has in cache, and its end.

Everything here runs in one event loop and needs no locks.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from preannotation_assets.simulator.prefix_cache import Slot, reuse_checkpoint, reuse_prefix
from preannotation_assets.simulator.refusals import RunnerStoppedError
from preannotation_assets.simulator.tokens import common_prefix_length
from preannotation_assets.simulator.values import JsonValue

__all__ = ["Runner", "RunnerDemand", "Slot", "SlotUse"]


@dataclass(frozen=True, slots=True)
class RunnerDemand:
    """What must be loaded for a request; two unequal demands for one model mean a reload.

    ``model`` is what its runner is known by; ``name`` is the model's own name, and another name for the same
    weights reloads nothing.
    """

    model: str
    options: tuple[tuple[str, JsonValue], ...]
    shift: bool
    name: str = field(default="", compare=False)
    has_sliding_window: bool = False

    @property
    def context(self) -> int:
        """num_ctx in tokens."""
        value = dict(self.options)["num_ctx"]
        return value if isinstance(value, int) else 0


@dataclass(frozen=True, slots=True)
class SlotUse:
    """A slot held by a request; ``cached_tokens`` of its prompt need no work."""

    slot: Slot
    cached_tokens: int


@dataclass(eq=False)
class Runner:
    """A model in memory with ``slot_count`` slots, ``reading`` of which read a prompt now."""

    demand: RunnerDemand
    slot_count: int
    holders: int = 0
    reading: int = 0
    expires_at: float = 0.0
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    expiry: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        """Begin with all slots free."""
        self._reuse = reuse_checkpoint if self.demand.has_sliding_window else reuse_prefix
        self._free = [Slot(number) for number in range(self.slot_count)]
        self._waiting: deque[tuple[tuple[str, ...], asyncio.Future[Slot]]] = deque()
        self._stopped = asyncio.Event()
        self._uses = 0
        self.idle.set()

    @property
    def busy(self) -> int:
        """How many slots are held now."""
        return self.slot_count - len(self._free)

    def retain(self) -> None:
        """Keep the model from being unloaded until ``release``."""
        self.holders += 1
        self.idle.clear()

    def release(self) -> None:
        """End one ``retain``."""
        self.holders -= 1
        if self.holders == 0:
            self.idle.set()

    @asynccontextmanager
    async def slot(self, prompt: tuple[str, ...]) -> AsyncIterator[SlotUse]:
        """Wait for a slot in first-come order; a free one with the longest common prefix is best.

        Raises ``RunnerStoppedError`` if the runner crashes meanwhile.
        """
        slot = await self._take(prompt)
        try:
            yield SlotUse(slot, self._reuse(slot, prompt))
        finally:
            self._give_back(slot)

    async def pause(self, seconds: float) -> None:
        """Wait for real ``seconds``; raises ``RunnerStoppedError`` as soon as the runner crashes."""
        if seconds <= 0:
            await asyncio.sleep(0)
        elif not self._stopped.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._stopped.wait()
            except TimeoutError:
                return
        if self._stopped.is_set():
            raise RunnerStoppedError

    def stop(self) -> None:
        """Crash: every request that holds or awaits a slot fails."""
        self._stopped.set()
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(RunnerStoppedError())

    async def _take(self, prompt: tuple[str, ...]) -> Slot:
        if self._stopped.is_set():
            raise RunnerStoppedError
        if self._free and not self._waiting:
            return self._pick(prompt)
        future: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        self._waiting.append((prompt, future))
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._give_back(future.result())
            raise

    def _pick(self, prompt: tuple[str, ...]) -> Slot:
        best = max(self._free, key=lambda slot: (common_prefix_length(slot.cached, prompt), -slot.last_used))
        self._free.remove(best)
        self._uses += 1
        best.last_used = self._uses
        return best

    def _give_back(self, slot: Slot) -> None:
        self._free.append(slot)
        while self._waiting and not self._stopped.is_set():
            prompt, future = self._waiting.popleft()
            if not future.done():
                future.set_result(self._pick(prompt))
                return
