"""The pipeline's asking on the simulation's clock: its own limits, retries and back-off, driver and tasks.

The limit of an endpoint and the choice between endpoints are the pipeline's own code (``EndpointPool``), and
so is the back-off (``RetryPolicy``).
"""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from benchmarks.simulation.events import Desk, Events
from benchmarks.simulation.servers import Server, ServerSpeed, Work
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.throttling.endpoint_pool import EndpointPool, Feedback

__all__ = ["Client", "Failure", "Outcome", "no_failures", "simulate"]

_LOOK_SECONDS = 0.5
_READ_TO_A_TOKEN = 40.0


class Failure(StrEnum):
    """What may become of an attempt."""

    REFUSED = "refused"
    """503 before it is in the server's queue."""
    UNUSABLE = "unusable"
    """Written to its end, and no answer: asked once more, then in two halves."""


Faults = Callable[[int], Failure | None]
"""What happens to a request by its number in order of arrival, from 1; of two servers both count."""


def no_failures(_: int) -> None:
    """Nothing ever fails."""


@dataclass(frozen=True, slots=True)
class Client:
    """The pipeline's side: ``cap`` requests in flight at each server, at most.

    The driver's one event loop takes ``driver_seconds`` for a request, one of ``cores`` takes
    ``task_seconds`` for it in a task; ``gap_seconds`` pass besides between the end of a request at its
    server and the arrival of the one that takes its place. ``tells_queue`` is Ollama's: answers say how long
    they waited.
    """

    cap: int
    gap_seconds: float = 0.0
    driver_seconds: float = 0.0
    task_seconds: float = 0.0
    cores: int = 1
    least: int = 1
    tells_queue: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run. ``seconds`` are from the first arrival at a server to the last end there.

    ``requests`` counts what arrived, ``ended`` how it ended there; ``answered`` and ``failed`` count texts.
    ``in_flight_seconds`` is the integral of the requests at servers over time, ``latency_seconds`` the sum of
    their times there: by Little's law the same. ``answered_at`` are the ends of the answers, in order.
    """

    seconds: float
    requests: int
    answered: int
    failed: int
    ended: Counter[str]
    by_server: Counter[str]
    in_flight_seconds: float
    latency_seconds: float
    most_in_flight: int
    answered_at: Sequence[float]

    def rate(self, since: float, until: float) -> float:
        """Answers a second between two shares of all answers, so without the start and the end."""
        first, last = (self.answered_at[int(share * (self.answered - 1))] for share in (since, until))
        return (until - since) * (self.answered - 1) / (last - first)


@dataclass(frozen=True, slots=True)
class _Item:
    work: Work
    unavailable: int = 0
    unusable: int = 0

    @property
    def is_new(self) -> bool:
        return not self.unavailable and not self.unusable


@dataclass(slots=True)
class _Attempt:
    item: _Item
    address: str
    sent: float = 0.0
    begun: float = 0.0


def simulate(
    speeds: Sequence[ServerSpeed],
    works: Sequence[Work],
    client: Client,
    faults: Faults = no_failures,
    seed: int = 0,
) -> Outcome:
    """Asks about everything, in that order; the same for the same arguments."""
    events = Events()
    servers = {f"http://{number}": speed.server(events) for number, speed in enumerate(speeds)}
    run = _Run(events, servers, client, faults, random.Random(seed))
    for work in works:
        run.put(_Item(work))
    run.start()
    events.run()
    return run.outcome()


@dataclass(slots=True)
class _Run:
    events: Events
    servers: dict[str, Server]
    client: Client
    faults: Faults
    chance: random.Random
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    _pool: EndpointPool = field(init=False)
    _driver: Desk = field(init=False)
    _cores: Desk = field(init=False)
    _ready: list[tuple[bool, int, _Item]] = field(default_factory=list)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)
    _unfinished: int = 0
    _requests: int = 0
    _failed: int = 0
    _first: float | None = None
    _last: float = 0.0
    _at_servers: int = 0
    _most: int = 0
    _changed_at: float = 0.0
    _in_flight_seconds: float = 0.0
    _latency_seconds: float = 0.0
    _ended: Counter[str] = field(default_factory=Counter)
    _by_server: Counter[str] = field(default_factory=Counter)
    _answered_at: list[float] = field(default_factory=list)
    _wakes_at: float = -1.0

    def __post_init__(self) -> None:
        client = self.client
        self._pool = EndpointPool(list(self.servers), client.cap, client.least)
        self._driver = Desk(self.events, 1, client.driver_seconds)
        self._cores = Desk(self.events, client.cores, client.task_seconds)

    def put(self, item: _Item) -> None:
        """A new text."""
        self._unfinished += 1
        self._push(item)

    def start(self) -> None:
        """Hands out the first permits, and looks at servers that tell of their queues."""
        self._hand_out()
        if any(server.load for server in self.servers.values()):
            self.events.after(_LOOK_SECONDS, self._look)

    def outcome(self) -> Outcome:
        """What it came to."""
        return Outcome(
            seconds=self._last - (self._first or 0.0),
            requests=self._requests,
            answered=len(self._answered_at),
            failed=self._failed,
            ended=self._ended,
            by_server=self._by_server,
            in_flight_seconds=self._in_flight_seconds,
            latency_seconds=self._latency_seconds,
            most_in_flight=self._most,
            answered_at=self._answered_at,
        )

    def _push(self, item: _Item) -> None:
        heapq.heappush(self._ready, (item.is_new, next(self._order), item))

    def _hand_out(self) -> None:
        while self._ready:
            address = self._pool.acquire(self.events.now)
            if address is None:
                self._wake_after_rest()
                return
            attempt = _Attempt(heapq.heappop(self._ready)[-1], address)
            self._driver.pass_through(self._then_prepare(attempt))

    def _wake_after_rest(self) -> None:
        rest = self._pool.next_return(self.events.now)
        if rest is not None and self._wakes_at <= self.events.now:
            self._wakes_at = self.events.now + rest
            self.events.after(rest, self._hand_out)

    def _then_prepare(self, attempt: _Attempt) -> Callable[[], None]:
        return lambda: self._cores.pass_through(self._then_send(attempt))

    def _then_send(self, attempt: _Attempt) -> Callable[[], None]:
        return lambda: self.events.after(self.client.gap_seconds, lambda: self._arrive(attempt))

    def _arrive(self, attempt: _Attempt) -> None:
        self._requests += 1
        self._by_server[attempt.address] += 1
        failure = self.faults(self._requests)
        if self._first is None:
            self._first = self.events.now
        if failure is Failure.REFUSED:
            self._refuse(attempt)
            return
        self._count(1)
        attempt.sent = attempt.begun = self.events.now

        def begun() -> None:
            attempt.begun = self.events.now

        server = self.servers[attempt.address]
        server.submit(attempt.item.work, begun, lambda: self._answer(attempt, failure))

    def _refuse(self, attempt: _Attempt) -> None:
        now, item = self.events.now, attempt.item
        self._last = now
        self._ended[Failure.REFUSED] += 1
        self._pool.record(attempt.address, Feedback(available=False, overloaded=True), now)
        self._pool.release(attempt.address)
        tried = replace(item, unavailable=item.unavailable + 1)
        if tried.unavailable < self.policy.attempts:
            delay = self.policy.delay(tried.unavailable, None, self.chance)
            self.events.after(delay, lambda: self._again(tried))
        else:
            self._failed += 1
            self._unfinished -= 1
        self._hand_out()

    def _again(self, item: _Item) -> None:
        self._push(item)
        self._hand_out()

    def _answer(self, attempt: _Attempt, failure: Failure | None) -> None:
        now, item = self.events.now, attempt.item
        self._count(-1)
        self._last = now
        self._latency_seconds += now - attempt.sent
        self._ended[failure or "answered"] += 1
        self._pool.release(attempt.address)
        queue = attempt.begun - attempt.sent if self.client.tells_queue else None
        read = 0 if failure else item.work.text
        work = item.work.answer + read / _READ_TO_A_TOKEN
        feedback = Feedback(available=True, latency=now - attempt.sent, queue=queue, work=work)
        self._pool.record(attempt.address, feedback, now)
        if failure is None:
            self._answered_at.append(now)
            self._unfinished -= 1
        elif item.unusable < self.policy.variations:
            self._push(replace(item, unusable=item.unusable + 1))
        else:
            self._unfinished += 1
            for _ in range(2):
                half = replace(item.work, text=item.work.text // 2, answer=max(1, item.work.answer // 2))
                self._push(_Item(half))
        self._hand_out()

    def _count(self, change: int) -> None:
        now = self.events.now
        self._in_flight_seconds += self._at_servers * (now - self._changed_at)
        self._changed_at = now
        self._at_servers += change
        self._most = max(self._most, self._at_servers)

    def _look(self) -> None:
        if not self._unfinished:
            return
        for address, server in self.servers.items():
            if load := server.load:
                self._pool.record_load(address, *load, self.events.now)
        self._hand_out()
        self.events.after(_LOOK_SECONDS, self._look)
