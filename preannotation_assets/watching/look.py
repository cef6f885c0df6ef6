"""One look at the warehouse: what it has, what of it is published, and which runs to ask for."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from preannotation_assets.lake.layout import can_be_dataset
from preannotation_assets.warehouse import Warehouse
from preannotation_assets.watching.account import name_some, tell
from preannotation_assets.watching.memory import Memory
from preannotation_assets.watching.watch import RetryPlan, State, Watch, by_urgency, observe, state_of

__all__ = ["Look", "look_at"]

_LONGEST_SHOWN: Final = 80
# Each is a read of the lake, some 20 ms on S3.
_MOST_LOOKED_UP: Final = 50


@dataclass(frozen=True, slots=True)
class Look:
    """What came of it: the datasets to run, what to remember, and a line about all of them."""

    requests: list[str]
    memory: Memory
    account: str


def look_at(
    source: Warehouse,
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
    """Looks up as many of those that are due as it takes to find enough to ask for; returns these."""
    requests: list[str] = []
    states = _states(watches, plan, busy, now)
    for dataset in by_urgency(watches):
        if len(requests) >= plan.most_requests:
            break
        if states[dataset] is State.DUE:
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
    """Looks up some of those whose next run is not due: somebody may have run them meanwhile."""
    states = _states(watches, plan, busy, now)
    open_ones = [dataset for dataset, state in states.items() if state in (State.WAITING, State.GIVEN_UP)]
    for dataset in sorted(open_ones, key=lambda name: watches[name].confirmed_at)[:_MOST_LOOKED_UP]:
        watches[dataset] = watches[dataset].confirmed(published(dataset), now)


def _listed(source: Warehouse, memory: Memory, probe: str, now: float) -> Memory:
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
