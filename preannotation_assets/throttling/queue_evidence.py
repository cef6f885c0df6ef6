"""What waits in a server's queue, and what that says about the limit. Pure."""

from dataclasses import dataclass
from typing import Final

__all__ = ["QueueEvidence"]

# Kept waiting in the server's queue: one request, so that a slot that becomes free is taken at once, and by
# the server's figures one more of 32 in flight: so many may be on their way between client and server.
_WAITING: Final = 1.0
_ON_THEIR_WAY: Final = 1 / 32
_MUCH_WAITING: Final = 1.5
_LITTLE_WAITING: Final = 0.5
# Below it what looks like waiting may be the server's own work on a request.
_QUEUE_SHARE: Final = 0.2
_ANSWERS_TO_RAISE: Final = 4
_ANSWERS_TO_LOWER: Final = 8
_LOADS: Final = 4
# The limit rises by that share of itself, and at least by one.
_RISE: Final = 16


@dataclass(slots=True)
class QueueEvidence:
    """Collected since the last change of the limit.

    By Little's law, of L requests in flight that spend a share q of their time in the server's queue, q L
    wait and the others have slots: beyond that, more requests bring no more throughput. So the limit goes to
    the number of slots so found and one waiting request; where none waits it rises by a sixteenth, at least
    by one. Looked at are as many answers as the limit, and at least 4 to raise it and 8 to lower it; or 4
    looks at the server's own figures, by which a 32nd of the limit may wait besides.
    """

    _answers: int = 0
    _seconds: float = 0.0
    _queued_seconds: float = 0.0
    _loads: int = 0
    _waiting: float = 0.0
    _running: float = 0.0
    _of_others: float = 0.0

    @staticmethod
    def is_little(seconds: float, queued: float) -> bool:
        """Whether an answer that took ``seconds`` has waited for a negligible part of them."""
        return queued <= _QUEUE_SHARE * seconds

    def add_answer(self, seconds: float, queued: float) -> None:
        """Counts an answer that took ``seconds``, of which ``queued`` in the queue."""
        self._answers += 1
        self._seconds += seconds
        self._queued_seconds += min(queued, seconds)

    def add_load(self, running: int, waiting: int, in_flight: int) -> None:
        """Counts a look at the server; of what waits, those of ours are as many as of all there.

        Where requests wait and none runs, it is no queue.
        """
        if waiting and not running:
            return
        there = running + waiting
        self._loads += 1
        self._running += running
        self._of_others += max(0, there - in_flight)
        self._waiting += waiting * min(1.0, in_flight / there) if there else 0.0

    def better_limit_by_answers(self, value: int, most: int) -> float | None:
        """The limit that the answers speak for; None as long as they are too few."""
        share = self._queued_seconds / self._seconds if self._seconds else 0.0
        waiting = share * value
        if waiting < _LITTLE_WAITING and value < most and self._answers >= max(_ANSWERS_TO_RAISE, value):
            return value + max(1, value // _RISE)
        if self._answers < max(_ANSWERS_TO_LOWER, value):
            return None
        is_much = waiting > _MUCH_WAITING and share > _QUEUE_SHARE
        return value - waiting + _WAITING if is_much else value

    def mean_waiting(self) -> float | None:
        """How many wait by the server's own figures; None as long as they are too few."""
        return self._waiting / self._loads if self._loads >= _LOADS else None

    def mean_running(self) -> float:
        """How many the server works on, those of others too."""
        return self._running / self._loads if self._loads else 0.0

    def mean_of_others(self) -> float:
        """How many requests of others the server has, working on them or not."""
        return self._of_others / self._loads if self._loads else 0.0

    @staticmethod
    def is_empty(waiting: float) -> bool:
        """Whether so many are next to none."""
        return waiting < _LITTLE_WAITING

    @staticmethod
    def excess(waiting: float, value: int) -> float:
        """How many of those that wait are too many, with a limit of ``value``."""
        on_their_way = _ON_THEIR_WAY * value
        return waiting - _WAITING - on_their_way if waiting > _MUCH_WAITING + on_their_way else 0.0
