"""How many requests in flight one endpoint is given, found from what its requests tell. Pure."""

from dataclasses import dataclass, field
from typing import Final

__all__ = ["AdaptiveLimit"]

# Kept waiting in the server's queue: one request, so that a slot that becomes free is taken at once.
_WAITING: Final = 1.0
_MUCH_WAITING: Final = 1.5
_LITTLE_WAITING: Final = 0.5
# Below it what looks like waiting may be the server's own work on a request.
_QUEUE_SHARE: Final = 0.2
_SAMPLES_TO_RAISE: Final = 4
_SAMPLES_TO_LOWER: Final = 8
_SMOOTHING: Final = 0.3


@dataclass(slots=True)
class AdaptiveLimit:
    """A limit between ``least`` and ``most`` requests, which begins at the most.

    By Little's law, of L requests in flight that spend a share q of their time in the server's queue, q L
    wait and the others have slots: beyond that, more requests bring no more throughput. So the limit goes to
    the number of slots so found and one waiting request; where none waits it rises by one. Looked at are
    requests that were sent after the last change, as many as the limit, and at least 4 to raise it and 8 to
    lower it. A refusal for load halves it.

    ``value`` is the limit, ``lowest`` the lowest it ever was, ``latency`` the smoothed latency in seconds,
    None before the first answer.
    """

    least: int
    most: int
    value: int = field(init=False)
    lowest: int = field(init=False)
    latency: float | None = field(default=None, init=False)
    _changed_at: float = field(default=0.0, init=False)
    # Of the requests looked at since the last change: those sent before it (below 0) are passed over.
    _samples: int = field(default=0, init=False)
    _queued_seconds: float = field(default=0.0, init=False)
    _seconds: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.value = self.lowest = self.most

    def observe(self, latency: float, queued: float, in_flight: int, now: float) -> None:
        """Learns from an answer that took ``latency`` seconds, of which ``queued`` in the server's queue."""
        known = self.latency
        self.latency = latency if known is None else known + _SMOOTHING * (latency - known)
        self._samples += 1
        if self._samples <= 0:
            return
        self._queued_seconds += min(queued, latency)
        self._seconds += latency
        self._adjust(in_flight, now)

    def halve(self, in_flight: int, now: float) -> None:
        """Lowers the limit after a refusal for load.

        Requests that were sent together are refused together: within one latency of the last change that is
        one sign, not several.
        """
        if now - self._changed_at >= (self.latency or 0.0):
            self._set(self.value / 2, in_flight, now)

    def _adjust(self, in_flight: int, now: float) -> None:
        share = self._queued_seconds / self._seconds
        waiting = share * self.value
        can_rise = waiting < _LITTLE_WAITING and self.value < self.most
        if can_rise and self._samples >= max(_SAMPLES_TO_RAISE, self.value):
            self._set(self.value + 1, in_flight, now)
        elif self._samples >= max(_SAMPLES_TO_LOWER, self.value):
            if waiting > _MUCH_WAITING and share > _QUEUE_SHARE:
                self._set(self.value - waiting + _WAITING, in_flight, now)
            else:
                self._forget_samples()

    def _set(self, limit: float, in_flight: int, now: float) -> None:
        self.value = max(self.least, min(self.most, round(limit)))
        self.lowest = min(self.lowest, self.value)
        self._changed_at = now
        self._forget_samples()
        # What is in flight now was sent under the old limit.
        self._samples = -in_flight

    def _forget_samples(self) -> None:
        self._samples, self._queued_seconds, self._seconds = 0, 0.0, 0.0
