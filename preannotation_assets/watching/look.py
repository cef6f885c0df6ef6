"""One look at the warehouse: what it has, what of it is published, and which runs to ask for."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from preannotation_assets.lake.layout import can_be_dataset
from preannotation_assets.warehouse import DatasetSummary
from preannotation_assets.watching.account import name_some, tell
from preannotation_assets.watching.memory import Memory
from preannotation_assets.watching.watch import RetryPlan, State, Watch, by_urgency, observe, state_of

__all__ = ["Look", "look_at"]

_LONGEST_SHOWN: Final = 80
# Looks at what is published, each a read of the lake of some 20 ms on S3: in all, and of datasets that are
# remembered as published. Somebody may have published a part of one since, or removed it.
_MOST_LOOKED_UP: Final = 100
_PUBLISHED_LOOKED_UP: Final = 5


class Source(Protocol):
    """What is looked at of a warehouse."""

    def probe(self) -> str:
        """Something that differs where pages came or went."""

    def list_datasets(self) -> list[DatasetSummary]:
        """The datasets, with fingerprints of their pages."""


@dataclass(frozen=True, slots=True)
class Look:
    """What came of it: the datasets to run, what to remember, and a line about all of them."""

    requests: list[str]
    memory: Memory
    account: str


def look_at(
    source: Source,
    memory: Memory,
    plan: RetryPlan,
    busy: Collection[str],
    published: Callable[[str], str | None],
    now: float,
    listing_seconds: float,
) -> Look:
    """Decides about every dataset.

    ``busy`` are datasets with a run that has not ended, ``published`` tells the fingerprint of what is
    published of one. The hashes of all pages are read where the number of pages is another than at the last
    look, ``listing_seconds`` have gone by since, or a run would be asked for: then it must be known that its
    pages are still the same. ``now`` is in seconds since the Unix epoch.

    Raises:
        WarehouseError: the view cannot be read.
        StorageError: what is published cannot be read.
    """
    probe = source.probe()
    is_new = probe != memory.probe or now - memory.listed_at >= listing_seconds or now < memory.listed_at
    if is_new or State.DUE in _states(memory.watches, plan, busy, now).values():
        memory = _listed(source, memory, probe, now)
    watches = dict(memory.watches)
    requests = _confirm_due(watches, plan, busy, published, now)
    _confirm_others(watches, plan, busy, published, now)
    account = tell(watches, _states(watches, plan, busy, now), plan) + _left_out(memory.unusable)
    watches |= {dataset: watches[dataset].requested(now) for dataset in requests}
    return Look(requests, replace(memory, watches=watches), account)


def _confirm_due(
    watches: dict[str, Watch],
    plan: RetryPlan,
    busy: Collection[str],
    published: Callable[[str], str | None],
    now: float,
) -> list[str]:
    """Looks up those that are due, as many as it takes to find enough to ask for; returns these."""
    requests: list[str] = []
    states = _states(watches, plan, busy, now)
    due = [dataset for dataset in by_urgency(watches) if states[dataset] is State.DUE]
    for dataset in due[:_MOST_LOOKED_UP]:
        if len(requests) >= plan.most_requests:
            break
        watches[dataset] = watches[dataset].confirmed(published(dataset), now)
        requests += [] if watches[dataset].is_published else [dataset]
    return requests


def _confirm_others(
    watches: dict[str, Watch],
    plan: RetryPlan,
    busy: Collection[str],
    published: Callable[[str], str | None],
    now: float,
) -> None:
    """Looks up some whose next run is not due, and a few that are published, the oldest look first."""
    left = _MOST_LOOKED_UP - sum(watch.confirmed_at == now for watch in watches.values())
    states = _states(watches, plan, busy, now)
    oldest_first = sorted(states, key=lambda name: watches[name].confirmed_at)
    waiting = [name for name in oldest_first if _may_be_published(watches[name], states[name])]
    done = [name for name in oldest_first if states[name] is State.PUBLISHED]
    for dataset in [*done[:_PUBLISHED_LOOKED_UP], *waiting][:left]:
        watches[dataset] = watches[dataset].confirmed(published(dataset), now)


def _may_be_published(watch: Watch, state: State) -> bool:
    """Whether somebody may have run it meanwhile; of one that is new nobody has looked yet."""
    is_new = state is State.LOADING and not watch.confirmed_at
    return is_new or state in (State.WAITING, State.GIVEN_UP)


def _listed(source: Source, memory: Memory, probe: str, now: float) -> Memory:
    summaries = source.list_datasets()
    usable = [summary for summary in summaries if can_be_dataset(summary.dataset)]
    unusable = tuple(summary.dataset for summary in summaries if not can_be_dataset(summary.dataset))
    return Memory(observe(memory.watches, usable, now), unusable, probe, now)


def _states(
    watches: Mapping[str, Watch], plan: RetryPlan, busy: Collection[str], now: float
) -> dict[str, State]:
    return {
        dataset: state_of(watch, plan, now, is_busy=dataset in busy) for dataset, watch in watches.items()
    }


def _left_out(datasets: Collection[str]) -> str:
    """Names are not made to fit: two that differ would become one, and the loader looks for the real one."""
    if not datasets:
        return ""
    named = name_some([ascii(dataset[:_LONGEST_SHOWN]) for dataset in datasets])
    return (
        f"; {len(datasets)} left out because of their names: {named}"
        " (a name has ASCII letters, digits, single dots, _ and -, at most 199)"
    )
