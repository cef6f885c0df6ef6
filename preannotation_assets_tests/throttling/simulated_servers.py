"""Servers with continuous batching on a clock of their own, kept full by a pool.

A running request advances at ``throughput(running) / running`` tokens a second, whatever its length, as the
sequences of one batch do. What a server does not run waits in its queue, in order of arrival.
"""

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from preannotation_assets.throttling.endpoint_pool import EndpointPool, Feedback

__all__ = [
    "BatchRun",
    "Batching",
    "Client",
    "Request",
    "hard_knee",
    "run_batch",
    "soft_knee",
    "thrashing",
    "unequal_requests",
]

_LOAD_SECONDS: Final = 0.5

Throughput = Callable[[int], float]
"""Tokens a second of so many running requests together."""


def hard_knee(slots: int, rate: float = 20.0, slowdown: float = 0.0) -> Throughput:
    """Every request alone as fast as ``rate``, with all slots busy slower by ``1 + slowdown``."""
    return lambda running: running * rate / (1 + slowdown * running / slots)


def soft_knee(half: int, rate: float = 20.0) -> Throughput:
    """Half of what it can ever do with ``half`` running."""
    return lambda running: rate * running / (1 + running / half)


def thrashing(room: int, rate: float = 20.0, loss: float = 0.3) -> Throughput:
    """Beyond ``room`` running requests push each other out: with twice as many a share ``loss`` is lost."""
    return lambda running: (
        rate * (running if running <= room else room * max(0.5, 1 - loss * (running / room - 1)))
    )


@dataclass(frozen=True, slots=True)
class Request:
    """Tokens to read and to write."""

    prompt: int
    answer: int


@dataclass(slots=True)
class _Sent:
    request: Request
    at: float
    granted: float
    running_since: float = 0.0


@dataclass(slots=True)
class Batching:
    """A server. ``slots`` run at most; more than ``room`` are refused.

    ``tells_queue`` says whether answers tell the time in the queue, ``tells_tokens`` whether they tell their
    tokens, ``tells_load`` whether the server tells what it runs and what waits. ``noise`` is the standard
    deviation of the logarithm of what a request costs beside its tokens. ``slots_from`` maps a time to the
    slots from then on. With ``has_steps`` all sequences get a token at the same moments, so requests begin
    and end together.
    """

    slots: int
    throughput: Throughput
    room: int = 100_000
    tells_queue: bool = False
    tells_tokens: bool = True
    tells_load: bool = False
    noise: float = 0.1
    read_weight: float = 1 / 40
    slots_from: Mapping[float, int] = field(default_factory=dict)
    has_steps: bool = False
    _now: float = 0.0
    _done: float = 0.0
    _running: list[tuple[float, int, _Sent]] = field(default_factory=list)
    _waiting: deque[_Sent] = field(default_factory=deque)
    _count: int = 0
    _written: float = 0.0
    refused: int = 0

    def send(self, request: Request, now: float, granted: float, chance: random.Random) -> bool:
        """Takes a request, or refuses it; its permit was ``granted`` before."""
        self._advance(now)
        if len(self._running) + len(self._waiting) >= self.room:
            self.refused += 1
            return False
        self._waiting.append(_Sent(request, now, granted))
        self._fill(chance)
        return True

    def next_end(self) -> float | None:
        """When the next running request ends, as it is now."""
        if not self._running:
            return None
        speed = self._speed()
        return self._now + max(0.0, self._running[0][0] - self._done) / speed

    def end(self, now: float, chance: random.Random) -> _Sent:
        """Ends the request that is done."""
        self._advance(now)
        sent = heapq.heappop(self._running)[2]
        self._fill(chance)
        return sent

    @property
    def load(self) -> tuple[int, int]:
        """Running and waiting."""
        return len(self._running), len(self._waiting)

    def written(self, now: float) -> float:
        """Tokens since the start, those of running requests included."""
        self._advance(now)
        return self._written

    def capacity(self, in_flight: int, now: float) -> float:
        """Tokens a second with so many in flight."""
        return self.throughput(min(in_flight, self._slots(now)))

    def _slots(self, now: float) -> int:
        return next((slots for since, slots in reversed(self.slots_from.items()) if now >= since), self.slots)

    def _speed(self) -> float:
        return self.throughput(len(self._running)) / len(self._running)

    def _advance(self, now: float) -> None:
        if self._running:
            self._done += (now - self._now) * self._speed()
            self._written += (now - self._now) * self.throughput(len(self._running))
        self._now = now

    def _fill(self, chance: random.Random) -> None:
        while self._waiting and len(self._running) < self._slots(self._now):
            sent = self._waiting.popleft()
            sent.running_since = self._now
            tokens = sent.request.answer + self.read_weight * sent.request.prompt
            work = tokens * chance.lognormvariate(0.0, self.noise)
            ends = math.ceil(self._done) + math.ceil(work) if self.has_steps else self._done + work
            self._count += 1
            heapq.heappush(self._running, (ends, self._count, sent))


@dataclass(frozen=True, slots=True)
class Client:
    """What lies between a server and the pool, in seconds.

    ``turn`` is from a permit to the request at the server. ``work`` is what one event loop spends on an
    answer, one after the other: answers that end together wait for each other. The report comes ``report``
    after the permit. For ``pause`` of every ``pause_every`` seconds the event loop does nothing.
    """

    turn: float = 0.005
    work: float = 0.0
    report: float = 0.0
    pause: float = 0.0
    pause_every: float = 3.0

    def reads_until(self, ended: float, is_free: float) -> float:
        """When an answer that ended then is read, by a client that is busy until ``is_free``."""
        at = max(ended, is_free)
        if self.pause and at % self.pause_every < self.pause:
            at += self.pause - at % self.pause_every
        return at + self.work


@dataclass(slots=True)
class BatchRun:
    """How a batch went: seconds in all, and the limit and the tokens of each endpoint after each answer."""

    seconds: float
    limits: dict[str, list[tuple[float, int]]]
    tokens: dict[str, list[tuple[float, float]]]
    refused: int


@dataclass(slots=True)
class _Batch:
    """A batch that is being asked: what has happened so far, and what will, in order of time."""

    pool: EndpointPool
    servers: Mapping[str, Batching]
    client: Client
    chance: random.Random
    todo: deque[Request]
    limits: dict[str, list[tuple[float, int]]]
    tokens: dict[str, list[tuple[float, float]]]
    left: int
    now: float = 0.0
    is_free: float = 0.0
    last_load: float = 0.0
    coming: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    count: int = 0

    def later(self, at: float, event: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.coming, (at, self.count, event))

    def send_what_may_be_sent(self) -> None:
        while self.todo and (address := self.pool.acquire(self.now)) is not None:
            request = self.todo.popleft()
            self.later(self.now + self.client.turn, partial(self._arrive, address, request, self.now))

    def next_end(self) -> tuple[float, str] | None:
        ends = ((server.next_end(), address) for address, server in self.servers.items())
        return min(((at, address) for at, address in ends if at is not None), default=None)

    def end(self, address: str) -> None:
        sent = self.servers[address].end(self.now, self.chance)
        self.is_free = self.client.reads_until(self.now, self.is_free)
        self.later(self.is_free, partial(self._read, address, sent))

    def tell_load(self) -> None:
        self.last_load = self.now
        for address, server in self.servers.items():
            if server.tells_load:
                self.pool.record_load(address, *server.load, self.now)

    def _arrive(self, address: str, request: Request, granted: float) -> None:
        if not self.servers[address].send(request, self.now, granted, self.chance):
            self.pool.release(address)
            self.pool.record(address, Feedback(available=False, overloaded=True), self.now)
            self.todo.append(request)

    def _read(self, address: str, sent: _Sent) -> None:
        self.pool.release(address)
        server, read = self.servers[address], self.now
        queued = sent.running_since - sent.at if server.tells_queue else None
        work = sent.request.answer + sent.request.prompt / 40 if server.tells_tokens else 1.0
        feedback = Feedback(available=True, latency=read - sent.at, queue=queued, work=work)
        self.later(read + self.client.report, partial(self._report, address, feedback))

    def _report(self, address: str, feedback: Feedback) -> None:
        self.left -= 1
        self.pool.record(address, feedback, self.now)
        self.limits[address].append((self.now, self.pool.states(self.now)[address].limit))
        self.tokens[address].append((self.now, self.servers[address].written(self.now)))


def run_batch(
    pool: EndpointPool,
    servers: Mapping[str, Batching],
    requests: Sequence[Request],
    seed: int,
    client: Client | None = None,
) -> BatchRun:
    """Asks everything, with as many askers as the cap of all endpoints; refused requests are sent again."""
    batch = _Batch(
        pool,
        servers,
        client or Client(),
        chance=random.Random(seed),
        todo=deque(requests),
        limits={address: [] for address in servers},
        tokens={address: [] for address in servers},
        left=len(requests),
    )
    tells_load = any(server.tells_load for server in servers.values())
    while batch.left:
        batch.send_what_may_be_sent()
        end, rest = batch.next_end(), pool.next_return(batch.now) if batch.todo else None
        times = [
            *([end[0]] if end else []),
            *([batch.coming[0][0]] if batch.coming else []),
            *([batch.last_load + _LOAD_SECONDS] if tells_load else []),
            *([batch.now + rest] if rest is not None else []),
        ]
        batch.now = max(batch.now, min(times))
        if tells_load and batch.now >= batch.last_load + _LOAD_SECONDS:
            batch.tell_load()
        elif batch.coming and batch.coming[0][0] <= batch.now:
            heapq.heappop(batch.coming)[2]()
        elif end and end[0] <= batch.now:
            batch.end(end[1])
    refused = sum(server.refused for server in servers.values())
    return BatchRun(batch.now, batch.limits, batch.tokens, refused)


def unequal_requests(count: int, seed: int, mean_answer: float = 120.0) -> list[Request]:
    """The longest of each 2,000 first, as far as a client can foretell the length of an answer."""
    chance = random.Random(seed)
    requests = [
        Request(
            round(chance.lognormvariate(7.0, 0.4)),
            max(5, round(mean_answer * chance.lognormvariate(-0.2, 0.65))),
        )
        for _ in range(count)
    ]
    foretold = sorted(
        (
            (place // 2_000, -request.answer * chance.lognormvariate(0.0, 0.8), place)
            for place, request in enumerate(requests)
        )
    )
    return [requests[place] for _, _, place in foretold]
