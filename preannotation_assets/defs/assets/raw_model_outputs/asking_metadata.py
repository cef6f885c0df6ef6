"""What the asking of a run came to, as metadata of ``raw_model_outputs``. Counts, seconds and rates only."""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from preannotation_assets.defs.assets.common import MetadataValues, per_second
from preannotation_assets.defs.assets.quality import ratio
from preannotation_assets.throttling.dispatcher import EndpointTotals, Progress
from preannotation_assets.throttling.endpoint_pool import EndpointState

__all__ = ["asking_metadata"]

T = TypeVar("T")

_HOUR: Final = 3600


def asking_metadata(progress: Progress, prefix_reused: Mapping[str, float]) -> MetadataValues:
    """What was sent and what it took; tokens and seconds are of all requests, also of those in vain.

    ``prefix_reused`` is the share of the prompt's constant part that is not read anew, by endpoint.
    """
    answered = sum(totals.answered for totals in progress.totals.values())
    return {
        "repeated": dict(progress.repeated),
        "repeated_by_endpoint": {
            address: dict(totals.repeated) for address, totals in progress.totals.items() if totals.repeated
        },
        "split": progress.split,
        "salvaged": progress.salvaged,
        "most_in_flight": _states(progress, lambda state: state.most_in_flight),
        "in_flight_limit": _states(progress, lambda state: state.limit),
        "lowest_in_flight_limit": _states(progress, lambda state: state.lowest_limit),
        "endpoint_rests": _states(progress, lambda state: state.rests),
        "answered_by_endpoint": _totals(progress, lambda totals: totals.answered),
        "tokens_per_second_by_endpoint": _totals(
            progress, lambda totals: per_second(totals.answer_tokens, progress.seconds)
        ),
        "slot_hours": round(progress.busy_seconds / _HOUR, 4),
        "slot_hours_by_endpoint": _totals(progress, lambda totals: round(totals.busy_seconds / _HOUR, 4)),
        "slot_seconds_a_request": ratio(progress.busy_seconds, progress.answered + progress.failed),
        "server_seconds_a_request": ratio(
            progress.seconds * len(progress.endpoints), progress.answered + progress.failed
        ),
        "warm_ups": sum(totals.warm_ups for totals in progress.totals.values()),
        "warm_up_tokens": sum(totals.warm_up_tokens for totals in progress.totals.values()),
        "warm_up_seconds": round(sum(totals.warm_up_seconds for totals in progress.totals.values()), 3),
        "prefix_reused": dict(prefix_reused),
        "prompt_tokens": progress.prompt_tokens,
        "answer_tokens": progress.answer_tokens,
        "answer_tokens_per_second": per_second(progress.answer_tokens, progress.seconds),
        "requests_per_second": per_second(answered, progress.seconds),
    }


def _states(progress: Progress, value: Callable[[EndpointState], T]) -> dict[str, T]:
    return {address: value(state) for address, state in progress.endpoints.items()}


def _totals(progress: Progress, value: Callable[[EndpointTotals], T]) -> dict[str, T]:
    return {address: value(totals) for address, totals in progress.totals.items()}
