"""What a look at the warehouse comes to, in one line for whoever reads the sensor's ticks. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from preannotation_assets.watching.watch import RetryPlan, State, Watch

__all__ = ["name_some", "tell"]

_MOST_NAMED: Final = 10
_SILENT: Final = frozenset({State.PUBLISHED})


def tell(watches: Mapping[str, Watch], states: Mapping[str, State], plan: RetryPlan) -> str:
    """How many datasets are in which state, and which of them are not published and why."""
    if not states:
        return "0 datasets: no doc_id matches PREANNOTATION_DATASET_PATTERN, or the view is empty"
    counts = Counter(states.values())
    told = [f"{counts[state]} {state}" for state in State if counts[state]]
    details = [
        f"{dataset} ({_detail(watches[dataset], state, plan)})"
        for dataset, state in sorted(states.items())
        if state not in _SILENT
    ]
    of_each = f"; {name_some(details)}" if details else ""
    return f"{len(states)} datasets: {', '.join(told)}{of_each}"


def name_some(names: Sequence[str]) -> str:
    """The first ten, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _detail(watch: Watch, state: State, plan: RetryPlan) -> str:
    after = f" after {watch.attempts} run(s) that published nothing" if watch.attempts else ""
    match state:
        case State.LOADING:
            return f"changed; still until {_clock(watch.since + plan.still_seconds)}"
        case State.WAITING:
            return f"next run at {_clock(watch.requested_at + plan.wait_seconds(watch.attempts))}{after}"
        case State.GIVEN_UP:
            return f"given up{after}: start it by hand, or wait until its pages change"
        case _:
            return f"{state}{after}"


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M UTC")
