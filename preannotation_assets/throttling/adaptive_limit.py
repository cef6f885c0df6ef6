"""How many requests in flight one endpoint is given, found from what its requests tell. Pure."""

from dataclasses import dataclass, field
from typing import Final

from preannotation_assets.throttling.queue_evidence import QueueEvidence
from preannotation_assets.throttling.throughput import InFlightHistory, Throughput
from preannotation_assets.throttling.throughput_search import ThroughputSearch

__all__ = ["AdaptiveLimit", "Answer"]

_START: Final = 16
# An answer of the start-up lets so many more be sent.
_GROWTH: Final = 3
# Up to here every look at a server without a queue doubles it, before the first answer.
_START_WITH_NO_QUEUE: Final = 64
_SHORTEST_ROUND: Final = 8
# So full must be what is allowed, or it says nothing about the limit.
_FULL: Final = 0.9
_SMOOTHING: Final = 0.3
_LOAD_IS_FRESH_SECONDS: Final = 15.0
_REFUSALS_REMEMBERED: Final = 0.9
# Refusals follow each other where a server is away; each lowers what is known to fit by a fifth at most.
_STILL_FITS: Final = 0.8
# After so many rounds of answers without a refusal more are tried than were refused.
_QUIET_ROUNDS: Final = 4
_MORE_THAN_REFUSED: Final = 1.25
# Of what a server works on: others who let it wait for more do not crowd this run out.
_SHARE_KEPT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer tells: ``seconds`` from sending to its end, ``queued`` of them in the server's queue.

    ``queued`` is None where the server does not tell. ``work`` is what the server did for it, in any unit
    that is the same for all answers.
    """

    seconds: float
    queued: float | None = None
    work: float = 1.0


@dataclass(slots=True)
class AdaptiveLimit:
    """A limit between ``least`` and ``most`` requests, which begins at 16, or at the most where that is less.

    It looks for the fewest requests with nearly all the throughput. Where answers tell how long they waited
    in the server's queue, that decides: beyond one waiting request, more bring no more throughput
    (``QueueEvidence``). Else the throughput that comes back is measured (``ThroughputSearch``), below what
    waits by the server's own figures (``observe_load``), where it has them: unless requests of others waited
    all the same when there were fewer of ours, and not below half of what the server works on. Until the
    first sign that it is enough every answer adds three, and up to 64 every look at an empty queue doubles
    it. A refusal for load halves it; then every answer adds one up to what fitted.

    ``value`` is the limit, ``lowest`` the lowest it ever was, ``latency`` the smoothed latency in seconds,
    None before the first answer.
    """

    least: int
    most: int
    value: int = field(init=False)
    lowest: int = field(init=False)
    latency: float | None = field(default=None, init=False)
    _changed_at: float = field(default=0.0, init=False)
    # Answers since the last change; those to requests sent before it are below 0 and passed over.
    _answers: int = field(default=0, init=False)
    _round: int = field(init=False)
    _history: InFlightHistory = field(default_factory=InFlightHistory, init=False)
    _measured: Throughput = field(default_factory=Throughput, init=False)
    _queue: QueueEvidence = field(default_factory=QueueEvidence, init=False)
    _search: ThroughputSearch = field(init=False)
    _answers_tell_queue: bool = field(default=False, init=False)
    _load_at: float | None = field(default=None, init=False)
    # What waited when the limit was lowered for it, and by how many.
    _lowered: tuple[float, float] | None = field(default=None, init=False)
    # So many wait whatever the limit is.
    _waiting_of_others: float = field(default=0.0, init=False)
    # What fitted when a request was refused for load; answers since then, or since it was raised.
    _fits: int | None = field(default=None, init=False)
    _quiet: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.value = self.lowest = max(self.least, min(self.most, _START))
        self._round = max(_SHORTEST_ROUND, self.value // 2)
        self._search = ThroughputSearch(self.least, self.most, is_starting=self.value < self.most)

    def note_in_flight(self, in_flight: int, now: float) -> None:
        """Learns how many requests are in flight from now on."""
        self._history.note(in_flight, now)

    def observe(self, answer: Answer, in_flight: int, now: float) -> None:
        """Learns from an answer that has just come."""
        known = self.latency
        self.latency = answer.seconds if known is None else known + _SMOOTHING * (answer.seconds - known)
        self._history.note(in_flight, now)
        self._answers_tell_queue = self._answers_tell_queue or answer.queued is not None
        self._answers += 1
        if self._answers_tell_queue and not self._load_is_told(now):
            self._observe_queue(answer, in_flight, now)
        elif self._answers > 0 and not self._recover(in_flight):
            self._measured.add(answer.work, self._history.share(now - answer.seconds, now), answer.seconds)
            self._observe_throughput(in_flight, now)

    def observe_load(self, running: int, waiting: int, in_flight: int, now: float) -> None:
        """Learns how many requests the server works on now and how many wait there, those of others too."""
        self._load_at = now
        # What was sent under a higher limit still waits.
        if in_flight <= self.value:
            self._queue.add_load(running, waiting, in_flight)
        is_full = min(in_flight, running) >= _FULL * self.value
        if self._search.is_starting and is_full and waiting <= 1 and self.value < _START_WITH_NO_QUEUE:
            self.value = min(self.most, 2 * self.value)
        elif now - self._changed_at >= (self.latency or 0.0):
            self._shun_queue(in_flight, now)

    def halve(self, in_flight: int, now: float) -> None:
        """Lowers the limit after a refusal for load.

        Requests that were sent together are refused together: within one latency of the last change that is
        one sign, not several.
        """
        if now - self._changed_at >= (self.latency or 0.0):
            fits = max(_REFUSALS_REMEMBERED * in_flight, _STILL_FITS * (self._fits or 0), self.least)
            self._fits, self._quiet = min(self.most, round(fits)), 0
            self._search.restart(ceiling=self._fits)
            self._set(self.value / 2, in_flight, now)

    def _recover(self, in_flight: int) -> bool:
        """After a refusal every answer adds one up to what fitted; whether it did.

        When long enough nothing was refused with as many, the search may try more.
        """
        if self._fits is None:
            return False
        if self.value < self._fits and in_flight >= _FULL * self.value:
            self.value += 1
            return True
        self._quiet += 1
        if self._quiet >= _QUIET_ROUNDS * self._fits:
            more = min(self.most, round(_MORE_THAN_REFUSED * self._fits + 1))
            self._fits = None if self._fits >= self.most else more
            self._quiet = 0
            self._search.lift_ceiling(self._fits)
        return False

    def _load_is_told(self, now: float) -> bool:
        return self._load_at is not None and now - self._load_at < _LOAD_IS_FRESH_SECONDS

    def _shun_queue(self, in_flight: int, now: float) -> None:
        """By the server's own figures: no more than the queue allows; the throughput decides below that."""
        waiting = self._queue.mean_waiting()
        if waiting is None:
            return
        ours = waiting - self._learn_of_others(waiting)
        least = self._queue.mean_running() * _SHARE_KEPT
        better = round(max(self.value - self._queue.excess(ours, self.value), least))
        if better < self.value:
            self._lowered = (waiting, self.value - better)
            self._fits = None
            self._search.restart(ceiling=better)
            self._set(better, in_flight, now)
            return
        if self._queue.is_empty(ours):
            self._search.lift_ceiling()
        self._queue = QueueEvidence()

    def _learn_of_others(self, waiting: float) -> float:
        """How many of those that wait are not there for the limit: they did not go when it was lowered."""
        if self._lowered:
            before, by = self._lowered
            self._lowered = None
            if waiting > before - by / 2:
                self._waiting_of_others = waiting
        most = min(waiting, self._queue.mean_of_others())
        self._waiting_of_others = min(self._waiting_of_others, most)
        return self._waiting_of_others

    def _observe_queue(self, answer: Answer, in_flight: int, now: float) -> None:
        if self._search.is_starting and self._queue.is_little(answer.seconds, answer.queued or 0.0):
            self._grow(in_flight)
        elif self._search.is_starting:
            self._search.is_starting = False
            self._set(self.value, in_flight, now)
        elif self._answers > 0:
            self._queue.add_answer(answer.seconds, answer.queued or 0.0)
            self._follow_queue(self._queue.better_limit_by_answers(self.value, self.most), in_flight, now)

    def _follow_queue(self, better: float | None, in_flight: int, now: float) -> None:
        if better is None:
            return
        self._search.is_starting = False
        if better == self.value:
            self._forget()
        else:
            self._set(better, in_flight, now)

    def _observe_throughput(self, in_flight: int, now: float) -> None:
        if self._search.is_starting:
            self._grow(in_flight)
            if self._measured.answers >= self._round:
                value = self._search.after_round(self._measured, self.value)
                self._forget()
                self._round = max(_SHORTEST_ROUND, self.value // 2)
                if not self._search.is_starting:
                    self._set(value, in_flight, now)
        elif self._search.is_enough(self._measured, self.value):
            # With less in flight than allowed, it is not the limit that decides.
            is_full = self._measured.in_flight >= _FULL * self.value
            value = self._search.next_value(self._measured, self.value) if is_full else self.value
            if value == self.value:
                self._forget()
            else:
                self._set(value, in_flight, now)

    def _grow(self, in_flight: int) -> None:
        if in_flight >= _FULL * self.value:
            self.value = min(self.most, self.value + _GROWTH)

    def _set(self, limit: float, in_flight: int, now: float) -> None:
        self.value = max(self.least, min(self.most, round(limit)))
        self.lowest = min(self.lowest, self.value)
        self._changed_at = now
        self._forget()
        # What is in flight now was sent under the old limit.
        self._answers = -in_flight

    def _forget(self) -> None:
        self._answers = 0
        self._measured = Throughput()
        self._queue = QueueEvidence()
