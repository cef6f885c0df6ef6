"""The sensor: a dataset that is new or has changed becomes a partition and gets a run."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from dagster import RunRequest, SensorEvaluationContext, SensorResult, SkipReason, sensor

from preannotation_assets.defs.jobs import preannotate
from preannotation_assets.defs.partitions import DATASETS
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.errors import BatchError, SettingsError, WarehouseError
from preannotation_assets.lake.layout import validate_dataset
from preannotation_assets.warehouse import DatasetSummary

__all__ = ["changed_datasets", "new_datasets"]

_INTERVAL_SECONDS: Final = 60
_MOST_NAMED: Final = 10
_LONGEST_SHOWN: Final = 80


def changed_datasets(known: Mapping[str, str], present: Sequence[DatasetSummary]) -> list[DatasetSummary]:
    """The datasets that are not known, or not with this fingerprint. ``known``: dataset to fingerprint."""
    return [summary for summary in present if known.get(summary.dataset) != summary.fingerprint]


@sensor(
    job=preannotate,
    minimum_interval_seconds=_INTERVAL_SECONDS,
    description="Every dataset that is new, or has changed, becomes a partition and gets a run.",
)
def new_datasets(context: SensorEvaluationContext, warehouse: WarehouseResource) -> SensorResult | SkipReason:
    """Fires once for each dataset that appears in the warehouse, and again when its pages change.

    A warehouse that cannot be read, or is not known, is not an empty one: the sensor skips and what it knows
    stays. A dataset whose name can be no partition and no folder is left out, and every tick says so: in the
    reason why it was skipped, or else in its log.
    """
    known: dict[str, str] = json.loads(context.cursor) if context.cursor else {}
    try:
        with warehouse.open() as source:
            summaries = source.list_datasets()
    except (SettingsError, WarehouseError) as error:
        return SkipReason(str(error))
    present = [summary for summary in summaries if _is_valid(summary.dataset)]
    left_out = _left_out([summary.dataset for summary in summaries if not _is_valid(summary.dataset)])
    changed = changed_datasets(known, present)
    if not changed:
        return SkipReason(f"{len(present)} datasets, none of them new or changed{left_out}")
    if left_out:
        context.log.warning(f"{len(changed)} datasets new or changed{left_out}")
    fingerprints = known | {summary.dataset: summary.fingerprint for summary in changed}
    return SensorResult(
        run_requests=[
            RunRequest(run_key=f"{summary.dataset}:{summary.fingerprint}", partition_key=summary.dataset)
            for summary in changed
        ],
        dynamic_partitions_requests=[DATASETS.build_add_request([summary.dataset for summary in changed])],
        cursor=json.dumps(fingerprints, sort_keys=True),
    )


def _is_valid(dataset: str) -> bool:
    try:
        validate_dataset(dataset)
    except BatchError:
        return False
    return True


def _left_out(datasets: Sequence[str]) -> str:
    """Names are not made to fit: two that differ would become one, and the loader looks for the real one."""
    if not datasets:
        return ""
    named = ", ".join(ascii(dataset[:_LONGEST_SHOWN]) for dataset in datasets[:_MOST_NAMED])
    more = f" and {len(datasets) - _MOST_NAMED} more" if len(datasets) > _MOST_NAMED else ""
    return (
        f"; {len(datasets)} left out because of their names: {named}{more}"
        " (a name has ASCII letters, digits, single dots, _ and -, at most 199)"
    )
