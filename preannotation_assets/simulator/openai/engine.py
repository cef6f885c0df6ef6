"""Continuous batching: one step after the other for all running sequences, a queue for the rest.

As vLLM's scheduler does it: first come, first served; a step takes one token of every sequence that
writes and fills what is left of ``most_batched_tokens`` with prompts, in chunks; a full memory sends
the youngest sequence back to the queue, where all it had is read again. Steps in which nothing begins
or ends are taken together, so that a request costs a few operations and not one a token.
"""

import asyncio
import heapq
from collections import Counter, deque
from dataclasses import dataclass, field

from preannotation_assets.simulator.clock import SimulatedClock
from preannotation_assets.simulator.openai.memory import Memory
from preannotation_assets.simulator.openai.refusals import EngineDeadError, QueueFullError
from preannotation_assets.simulator.openai.sequence import Phase, Sequence
from preannotation_assets.simulator.openai.settings import OpenAiSettings

__all__ = ["Engine", "EngineCounts"]

_TICK_SECONDS = 0.01
_MOST_LAG_SECONDS = 0.25


@dataclass(slots=True)
class EngineCounts:
    """What has happened since the start; tokens, steps and simulated seconds."""

    admitted: int = 0
    begun: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    drafts: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    steps: int = 0
    sequence_steps: int = 0
    preemptions: int = 0
    rejections: int = 0
    queue_seconds: float = 0.0
    first_token_seconds: float = 0.0
    latency_seconds: float = 0.0
    finished: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Segment:
    """``steps`` steps of ``seconds`` in all; where ``chunks`` of prompts are read, there is one step."""

    steps: int
    seconds: float
    chunks: tuple[tuple[Sequence, int], ...] = ()


@dataclass(slots=True)
class Engine:
    """Runs the sequences of one server; used from its event loop only."""

    settings: OpenAiSettings
    memory: Memory
    clock: SimulatedClock
    counts: EngineCounts = field(default_factory=EngineCounts)
    is_dead: bool = False
    _waiting: deque[Sequence] = field(default_factory=deque)
    _running: dict[Sequence, None] = field(default_factory=dict)
    _watched: set[Sequence] = field(default_factory=set)
    _ends: list[tuple[int, int, Sequence]] = field(default_factory=list)
    _writing: int = 0
    _left_waiting: int = 0
    _step: int = 0
    _now: float = 0.0
    # When the steps that run now began; they end at ``_now``. None where nothing runs.
    _began: float | None = None
    _origin: float = 0.0
    _work: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def running(self) -> int:
        """How many sequences run."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many sequences queue."""
        return len(self._waiting)

    @property
    def left_waiting(self) -> int:
        """How many the last step left in the queue, as vLLM counts them; who came since is not among them."""
        return min(self._left_waiting, self.waiting)

    def submit(self, sequence: Sequence) -> None:
        """Queue a sequence; its ``ended`` is set when it has been written.

        Raises ``QueueFullError`` where the queue is full, and ``EngineDeadError``.
        """
        if self.is_dead:
            raise EngineDeadError
        if self.settings.most_queued is not None and self.waiting >= self.settings.most_queued:
            self.counts.rejections += 1
            raise QueueFullError
        sequence.arrived = self.time()
        self._waiting.append(sequence)
        if sequence.moved is not None:
            self._watched.add(sequence)
        self._work.set()

    def leave(self, sequence: Sequence) -> None:
        """Its client has gone, or has all: what it holds is free at once."""
        if sequence.phase is Phase.WAITING:
            self._waiting.remove(sequence)
        elif sequence in self._running:
            self._stop(sequence)
            sequence.left_by(sequence)
        sequence.phase = Phase.ENDED
        self._watched.discard(sequence)
        if sequence.ended.done() and not sequence.ended.cancelled():
            sequence.ended.exception()

    def written(self, sequence: Sequence) -> int:
        """How many steps of a sequence are written."""
        if sequence.phase is Phase.WRITING:
            return min(self._step - sequence.joined_step, sequence.steps)
        return sequence.written

    def time(self) -> float:
        """Simulated seconds since the start; where the machine lags, they stretch for everybody."""
        if not self.clock.speed:
            return self._now
        by_clock = self.clock.simulated_seconds(self.clock.now() - self._origin)
        if self._began is None:
            return max(self._now, by_clock)
        return max(self._began, min(self._now, by_clock))

    def die(self) -> None:
        """The engine's process ends: every sequence fails, and all that come."""
        self.is_dead = True
        for sequence in (*self._waiting, *self._running):
            if not sequence.ended.done():
                sequence.ended.set_exception(EngineDeadError())
            if sequence.moved is not None:
                sequence.moved.set()
        self._work.set()

    async def run(self) -> None:
        """Step for ever, or until the engine dies."""
        self._origin = self.clock.now()
        while not self.is_dead:
            if not self._waiting and not self._running:
                self._work.clear()
                await self._work.wait()
                self._now = self.time()
                continue
            segment = self._plan()
            self._began = self._now
            await self._wait(segment.seconds)
            self._began = None
            self._apply(segment)

    async def _wait(self, seconds: float) -> None:
        """Wait until the segment's end by the clock; what was late before is not waited for again."""
        self._now += seconds
        if not self.clock.speed:
            await asyncio.sleep(0)
            return
        delay = self._origin + self.clock.real_seconds(self._now) - self.clock.now()
        if delay < -_MOST_LAG_SECONDS:
            self._origin -= delay
        await asyncio.sleep(max(delay, 0.0))

    def _plan(self) -> _Segment:
        is_full = self._make_room()
        chunks = tuple(self._chunks(admits=not is_full))
        self._left_waiting = self.waiting
        times = self.settings.times
        if chunks:
            tokens = sum(taken for _, taken in chunks)
            seconds = times.step_seconds(self._writing + len(chunks)) + tokens / times.prefill_rate
            return _Segment(1, seconds, chunks)
        seconds = times.step_seconds(self._writing)
        steps = self._steps_together(seconds)
        return _Segment(steps, steps * seconds)

    def _chunks(self, admits: bool) -> "list[tuple[Sequence, int]]":
        """What is read in the next step: prompts that are begun, then those that fit from the queue."""
        budget = self.settings.most_batched_tokens - self._writing
        chunks = []
        if len(self._running) > self._writing:
            for sequence in self._running:
                if sequence.phase is Phase.READING and budget > 0:
                    chunks.append((sequence, min(sequence.to_read, budget)))
                    budget -= chunks[-1][1]
        most = self.settings.most_sequences if admits else 0
        while budget > 0 and self._waiting and len(self._running) < most:
            if not self._admit(self._waiting[0]):
                break
            sequence = self._waiting.popleft()
            chunks.append((sequence, min(sequence.to_read, budget)))
            budget -= chunks[-1][1]
        return chunks

    def _admit(self, sequence: Sequence) -> bool:
        cached = self.memory.take(sequence)
        if cached is None:
            return False
        sequence.phase = Phase.READING
        sequence.to_read = sequence.prompt_tokens + sequence.written - cached
        self._running[sequence] = None
        if sequence.admitted is None:
            sequence.cached, sequence.admitted = cached, self._now
            self.counts.admitted += 1
            self.counts.prompt_tokens += sequence.prompt_tokens
            self.counts.cached_tokens += cached
            self.counts.queue_seconds += self._now - sequence.arrived
            sequence.admitted_by(sequence)
        return True

    def _make_room(self) -> bool:
        """Preempt the youngest until a step of all others has room; whether that was needed."""
        before = self.counts.preemptions
        while len(self._running) > 1:
            room = self.memory.room()
            if room is None or room >= len(self._running):
                break
            youngest = next(reversed(self._running))
            self._stop(youngest)
            youngest.phase = Phase.WAITING
            self._waiting.appendleft(youngest)
            self.counts.preemptions += 1
        return self.counts.preemptions > before

    def _steps_together(self, step_seconds: float) -> int:
        """How many steps pass before something ends, the memory is full, or somebody should look."""
        while self._ends and self._is_stale(self._ends[0]):
            heapq.heappop(self._ends)
        steps = self._ends[0][0] - self._step if self._ends else 1
        room = self.memory.room()
        if room is not None and self._writing:
            steps = min(steps, room // self._writing)
        if self.clock.speed:
            steps = min(steps, int(self.clock.simulated_seconds(_TICK_SECONDS) / step_seconds))
        elif self._watched:
            steps = min(steps, self.settings.stream_interval)
        return max(steps, 1)

    def _is_stale(self, end: tuple[int, int, Sequence]) -> bool:
        sequence = end[2]
        return sequence.phase is not Phase.WRITING or sequence.joined_step + sequence.steps != end[0]

    def _apply(self, segment: _Segment) -> None:
        if self.is_dead:
            return
        self.counts.steps += segment.steps
        self.counts.sequence_steps += segment.steps * self._writing
        self.memory.grow(segment.steps * self._writing)
        self._step += segment.steps
        for sequence, taken in segment.chunks:
            if sequence.phase is Phase.READING:
                self._read(sequence, taken)
        while self._ends and self._ends[0][0] <= self._step:
            end = heapq.heappop(self._ends)
            if not self._is_stale(end):
                self._finish(end[2])
        for sequence in self._watched:
            self._tell(sequence)

    def _read(self, sequence: Sequence, taken: int) -> None:
        sequence.to_read -= taken
        if sequence.to_read:
            return
        sequence.phase = Phase.WRITING
        sequence.joined_step = self._step - sequence.written - 1
        self._writing += 1
        self.memory.grow(1)
        if sequence.first_token is None:
            sequence.first_token = self._now
            self.counts.begun += 1
            self.counts.first_token_seconds += self._now - sequence.arrived
        heapq.heappush(self._ends, (sequence.joined_step + sequence.steps, sequence.number, sequence))

    def _stop(self, sequence: Sequence) -> None:
        """Take a sequence out of the batch; what it has written is kept in it."""
        if sequence.phase is Phase.WRITING:
            sequence.written = self._step - sequence.joined_step
            self._writing -= 1
        del self._running[sequence]
        self.memory.release(sequence)

    def _finish(self, sequence: Sequence) -> None:
        self._stop(sequence)
        sequence.phase, sequence.finished = Phase.ENDED, self._now
        sequence.left_by(sequence)
        self.counts.finished += 1
        self.counts.latency_seconds += self._now - sequence.arrived
        if not sequence.ended.done():
            sequence.ended.set_result(None)

    def _tell(self, sequence: Sequence) -> None:
        written = self.written(sequence)
        is_due = written - sequence.told >= sequence.interval or sequence.phase is Phase.ENDED
        if is_due and sequence.moved is not None:
            sequence.told = written
            sequence.moved.set()
