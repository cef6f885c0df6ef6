"""Servers with continuous batching on a clock of their own, kept full by a pool.

A running request advances at ``throughput(running) / running`` tokens a second, whatever its length, as the
sequences of one batch do. What a server does not run waits in its queue, in order of arrival.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from preannotation_assets.throttling.endpoint_pool import EndpointPool, Feedback

__all__ = [
    "BatchRun",
    "Batching",
    "Request",
    "hard_knee",
    "run_batch",
    "soft_knee",
    "thrashing",
    "unequal_requests",
]

# From the end of a request to the next one at the server: the client's own work.
_TURN_SECONDS: Final = 0.005
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
    running_since: float = 0.0


@dataclass(slots=True)
class Batching:
    """A server. ``slots`` run at most; more than ``room`` are refused.

    ``tells_queue`` says whether answers tell the time in the queue, ``tells_tokens`` whether they tell their
    tokens, ``tells_load`` whether the server tells what it runs and what waits. ``noise`` is the standard
    deviation of the logarithm of what a request costs beside its tokens. ``slots_from`` maps a time to the
    slots from then on.
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
    _now: float = 0.0
    _done: float = 0.0
    _running: list[tuple[float, int, _Sent]] = field(default_factory=list)
    _waiting: deque[_Sent] = field(default_factory=deque)
    _count: int = 0
    refused: int = 0

    def send(self, request: Request, now: float, chance: random.Random) -> bool:
        """Takes a request, or refuses it."""
        self._advance(now)
        if len(self._running) + len(self._waiting) >= self.room:
            self.refused += 1
            return False
        self._waiting.append(_Sent(request, now))
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
        self._now = now

    def _fill(self, chance: random.Random) -> None:
        while self._waiting and len(self._running) < self._slots(self._now):
            sent = self._waiting.popleft()
            sent.running_since = self._now
            tokens = sent.request.answer + self.read_weight * sent.request.prompt
            work = tokens * chance.lognormvariate(0.0, self.noise)
            self._count += 1
            heapq.heappush(self._running, (self._done + work, self._count, sent))


@dataclass(slots=True)
class BatchRun:
    """How a batch went: seconds in all, and the limit of each endpoint after each answer."""

    seconds: float
    limits: dict[str, list[tuple[float, int]]]
    refused: int


def run_batch(
    pool: EndpointPool, servers: Mapping[str, Batching], requests: Sequence[Request], seed: int
) -> BatchRun:
    """Asks everything, with as many askers as the cap of all endpoints; refused requests are sent again."""
    chance = random.Random(seed)
    todo = deque(requests)
    now, last_load = 0.0, 0.0
    # Answers on their way to the client, and requests on their way to a server.
    moving: list[tuple[float, int, str, Request]] = []
    limits: dict[str, list[tuple[float, int]]] = {address: [] for address in servers}
    count = 0
    left = len(requests)
    while left:
        while todo and (address := pool.acquire(now)) is not None:
            count += 1
            heapq.heappush(moving, (now + _TURN_SECONDS, count, address, todo.popleft()))
        ends = [(at, address) for address, server in servers.items() if (at := server.next_end()) is not None]
        end = min(ends, default=None)
        gauges = any(server.tells_load for server in servers.values())
        rest = pool.next_return(now) if todo else None
        times = [
            *([end[0]] if end else []),
            *([moving[0][0]] if moving else []),
            *([last_load + _LOAD_SECONDS] if gauges else []),
            *([now + rest] if rest is not None else []),
        ]
        now = max(now, min(times))
        if gauges and now >= last_load + _LOAD_SECONDS:
            last_load = now
            for address, server in servers.items():
                if server.tells_load:
                    pool.record_load(address, *server.load, now)
        elif moving and moving[0][0] <= now:
            _, _, address, request = heapq.heappop(moving)
            if not servers[address].send(request, now, chance):
                pool.release(address)
                pool.record(address, Feedback(available=False, overloaded=True), now)
                todo.append(request)
        elif end and end[0] <= now:
            left -= 1
            _answer(pool, end[1], servers[end[1]], now, chance)
            limits[end[1]].append((now, pool.states()[end[1]].limit))
    return BatchRun(now, limits, sum(server.refused for server in servers.values()))


def _answer(pool: EndpointPool, address: str, server: Batching, now: float, chance: random.Random) -> None:
    sent = server.end(now, chance)
    queued = sent.running_since - sent.at if server.tells_queue else None
    work = sent.request.answer + sent.request.prompt / 40 if server.tells_tokens else 1.0
    pool.release(address)
    pool.record(address, Feedback(available=True, latency=now - sent.at, queue=queued, work=work), now)


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
