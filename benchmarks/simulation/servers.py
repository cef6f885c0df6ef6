"""Model servers by their time models: slots as Ollama has them, continuous batching as vLLM has it.

The formulas are those of the stand-ins (docs/simulator.md), so that one can be held against the other.
"""

import heapq
import itertools
import math
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from benchmarks.simulation.events import Action, Events
from preannotation_assets.simulator.openai.settings import BatchTimes
from preannotation_assets.simulator.settings import TimeModel

__all__ = ["Batch", "BatchServer", "Server", "ServerSpeed", "SlotServer", "Slots", "Work"]


@dataclass(frozen=True, slots=True)
class Work:
    """What a request is for a server, in tokens: the ``constant`` part before its text, text, answer."""

    constant: int
    text: int
    answer: int


class Server(Protocol):
    """A server on the clock of a simulation."""

    @property
    def load(self) -> tuple[int, int] | None:
        """How many requests it works on and how many wait, None where it does not tell."""

    def submit(self, work: Work, begun: Action, ended: Action) -> None:
        """Takes a request; says when its work begins, behind the queue, and when its answer is there."""


class ServerSpeed(Protocol):
    """How fast a server is, and so how to make one."""

    def server(self, events: Events) -> Server:
        """A new server that has read nothing yet."""


@dataclass(frozen=True, slots=True)
class Slots:
    """Ollama's way: ``slots`` requests at once, each with a prefix cache of its own."""

    times: TimeModel
    slots: int

    def server(self, events: Events) -> Server:
        """A new server that has read nothing yet."""
        return SlotServer(events, self)


@dataclass(frozen=True, slots=True)
class Batch:
    """vLLM's way: steps for up to ``sequences`` at once, and one prefix cache for all."""

    times: BatchTimes
    sequences: int
    batched_tokens: int = 8_192

    def server(self, events: Events) -> Server:
        """A new server that has read nothing yet."""
        return BatchServer(events, self)


@dataclass(slots=True)
class SlotServer:
    """Requests in slots: each reads by itself, all that write do so at one rate, by how many are busy."""

    events: Events
    speed: Slots
    _free: list[int] = field(init=False)
    _warm: set[int] = field(default_factory=set)
    _waiting: deque[tuple[Work, Action, Action]] = field(default_factory=deque)
    # Tokens that a request would have written that writes since the start, and when that was true.
    _written: float = 0.0
    _written_at: float = 0.0
    _ends: list[tuple[float, int, int, Action]] = field(default_factory=list)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)
    _plan: int = 0

    def __post_init__(self) -> None:
        self._free = list(range(self.speed.slots))

    @property
    def load(self) -> tuple[int, int] | None:
        """None: Ollama tells of queues in its answers only."""
        return None

    def submit(self, work: Work, begun: Action, ended: Action) -> None:
        """Takes a slot, or waits for one."""
        self._waiting.append((work, begun, ended))
        self._advance()
        self._fill()

    def _fill(self) -> None:
        while self._waiting and self._free:
            work, begun, ended = self._waiting.popleft()
            slot = heapq.heappop(self._free)
            cached = work.constant if slot in self._warm else 0
            self._warm.add(slot)
            begun()
            reading = (work.constant + work.text - cached) / self.speed.times.prefill_rate
            self.events.after(reading, partial(self._write, slot, work, ended))
        self._plan_end()

    def _write(self, slot: int, work: Work, ended: Action) -> None:
        self._advance()
        heapq.heappush(self._ends, (self._written + work.answer, next(self._order), slot, ended))
        self._plan_end()

    def _rate(self) -> float:
        times, busy = self.speed.times, self.speed.slots - len(self._free)
        return times.decode_rate / (1 + times.slowdown_per_slot * max(busy - 1, 0))

    def _advance(self) -> None:
        now = self.events.now
        self._written += (now - self._written_at) * self._rate()
        self._written_at = now

    def _plan_end(self) -> None:
        self._plan += 1
        if self._ends:
            plan = self._plan
            left = max(0.0, self._ends[0][0] - self._written)
            self.events.after(left / self._rate(), lambda: self._end(plan))

    def _end(self, plan: int) -> None:
        if plan != self._plan:
            return
        self._advance()
        _, _, slot, ended = heapq.heappop(self._ends)
        heapq.heappush(self._free, slot)
        ended()
        self._fill()


@dataclass(slots=True)
class _Reading:
    work: Work
    left: int
    ended: Action


@dataclass(slots=True)
class BatchServer:
    """Steps for all that run; steps in which nothing begins or ends are one event.

    What there is no room for in the KV cache is not simulated: nothing is pushed out.
    """

    events: Events
    speed: Batch
    _is_warm: bool = False
    _waiting: deque[tuple[Work, Action, Action]] = field(default_factory=deque)
    _reading: list[_Reading] = field(default_factory=list)
    _ends: list[tuple[int, int, Action]] = field(default_factory=list)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)
    _step: int = 0
    _left_waiting: int = 0
    # The steps under way: since when, how many, how long one takes.
    _began: float = 0.0
    _steps: int = 0
    _seconds: float = 0.0
    _plan: int = 0

    @property
    def load(self) -> tuple[int, int] | None:
        """Running requests and those that the last step left waiting, as ``/metrics`` of vLLM has them."""
        return len(self._reading) + len(self._ends), min(self._left_waiting, len(self._waiting))

    def submit(self, work: Work, begun: Action, ended: Action) -> None:
        """Joins at the end of the step under way, where there is room."""
        self._waiting.append((work, begun, ended))
        if not self._steps:
            self._begin()
        elif self._steps > 1 and self._has_room():
            done = math.floor((self.events.now - self._began) / self._seconds) + 1
            if done < self._steps:
                self._steps = done
                self._plan_end()

    def _has_room(self) -> bool:
        return len(self._reading) + len(self._ends) < self.speed.sequences

    def _begin(self) -> None:
        self._admit()
        writing = len(self._ends)
        self._began, self._steps = self.events.now, 0
        if not writing and not self._reading:
            return
        self._seconds = self.speed.times.step_seconds(writing + len(self._reading))
        if self._reading:
            budget = self.speed.batched_tokens - writing
            self._steps, read = 1, 0
            for reading in self._reading:
                taken = min(reading.left, budget - read)
                reading.left -= taken
                read += taken
            self._seconds += read / self.speed.times.prefill_rate
        else:
            self._steps = self._ends[0][0] - self._step
        self._plan_end()

    def _admit(self) -> None:
        budget = self.speed.batched_tokens - len(self._ends) - sum(one.left for one in self._reading)
        while self._waiting and self._has_room() and budget > 0:
            work, begun, ended = self._waiting.popleft()
            begun()
            left = max(1, work.text + (0 if self._is_warm else work.constant))
            self._is_warm = True
            budget -= left
            self._reading.append(_Reading(work, left, ended))
        self._left_waiting = len(self._waiting)

    def _plan_end(self) -> None:
        self._plan += 1
        plan = self._plan
        until = self._began + self._steps * self._seconds
        self.events.after(max(0.0, until - self.events.now), lambda: self._end(plan))

    def _end(self, plan: int) -> None:
        if plan != self._plan:
            return
        self._step += self._steps
        self._steps = 0
        for reading in [one for one in self._reading if not one.left]:
            # The step that read the end of the prompt has written the first token.
            last = self._step + max(0, reading.work.answer - 1)
            heapq.heappush(self._ends, (last, next(self._order), reading.ended))
        self._reading = [one for one in self._reading if one.left]
        ended = []
        while self._ends and self._ends[0][0] <= self._step:
            ended.append(heapq.heappop(self._ends)[-1])
        # Nobody may begin a step while the ends of this one are told.
        self._steps = 1
        for tell in ended:
            tell()
        self._steps = 0
        self._begin()
