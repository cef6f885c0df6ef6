"""What is remembered of each dataset from one look at the warehouse to the next. Pure; times are given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from preannotation_assets.warehouse import DatasetSummary

__all__ = ["RetryPlan", "State", "Watch", "by_urgency", "observe", "state_of"]


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """When a dataset is asked for, and asked for again; times in seconds.

    A dataset is left alone until it has been the same for ``still_seconds``. A run that published nothing
    is followed by another after ``first_wait_seconds``, then after twice as long each time up to
    ``longest_wait_seconds``, and by none after ``most_attempts``. At most ``most_requests`` a look.
    """

    still_seconds: float = 600.0
    first_wait_seconds: float = 120.0
    longest_wait_seconds: float = 3600.0
    most_attempts: int = 24
    most_requests: int = 10

    def wait_seconds(self, attempts: int) -> float:
        """How long to wait after so many attempts; 0 before the first."""
        if not attempts:
            return 0.0
        # Any more doublings are above the longest wait, and above what a float holds.
        doublings = min(attempts - 1, 60)
        return float(min(self.longest_wait_seconds, self.first_wait_seconds * 2**doublings))


@dataclass(frozen=True, slots=True)
class Watch:
    """One dataset. ``seen`` is its fingerprint in the warehouse, ``since`` when it was first seen so.

    ``published`` is the fingerprint of what is published, as far as anybody looked; None where nothing is,
    or nobody knows of which pages. ``attempts`` counts the runs that were asked for since it changed, the
    last one at ``requested_at``. What is published was looked at last at ``confirmed_at``. Times are seconds
    since the Unix epoch.
    """

    seen: str
    since: float
    published: str | None = None
    attempts: int = 0
    requested_at: float = 0.0
    confirmed_at: float = 0.0

    @property
    def is_published(self) -> bool:
        """Whether what is in the warehouse is what is published."""
        return self.published == self.seen

    def confirmed(self, published: str | None, now: float) -> "Watch":
        """After a look at what is published."""
        watch = replace(self, published=published, confirmed_at=now)
        return replace(watch, attempts=0, requested_at=0.0) if watch.is_published else watch

    def requested(self, now: float) -> "Watch":
        """After a run was asked for."""
        return replace(self, attempts=self.attempts + 1, requested_at=now)


class State(StrEnum):
    """What a dataset waits for."""

    PUBLISHED = "published"
    IN_WORK = "in work"
    LOADING = "still being loaded"
    WAITING = "waiting for the next attempt"
    GIVEN_UP = "given up"
    DUE = "due"


def observe(known: Mapping[str, Watch], present: Sequence[DatasetSummary], now: float) -> dict[str, Watch]:
    """The watches after a look at the warehouse; a dataset that is gone from it is forgotten."""
    return {
        summary.dataset: _seen(known.get(summary.dataset), summary.fingerprint, now) for summary in present
    }


def state_of(watch: Watch, plan: RetryPlan, now: float, *, is_busy: bool) -> State:
    """What a dataset waits for; ``is_busy`` where a run of it is queued or under way."""
    if watch.is_published:
        return State.PUBLISHED
    if is_busy:
        return State.IN_WORK
    if now - watch.since < plan.still_seconds:
        return State.LOADING
    if watch.attempts >= plan.most_attempts:
        return State.GIVEN_UP
    is_early = now - watch.requested_at < plan.wait_seconds(watch.attempts)
    return State.WAITING if is_early else State.DUE


def by_urgency(watches: Mapping[str, Watch]) -> list[str]:
    """Those asked for least often first, then those that have waited longest."""
    return sorted(watches, key=lambda dataset: (watches[dataset].attempts, watches[dataset].since, dataset))


def _seen(watch: Watch | None, fingerprint: str, now: float) -> Watch:
    if watch is None:
        return Watch(fingerprint, now)
    # A clock that was set back would keep a dataset waiting for the time that it was ahead.
    watch = replace(watch, since=min(watch.since, now), requested_at=min(watch.requested_at, now))
    return watch if watch.seen == fingerprint else Watch(fingerprint, now, watch.published)
