"""The sensor: what is in the warehouse gets published, whatever happens in between."""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from preannotation_assets.defs.jobs import preannotate
from preannotation_assets.defs.partitions import DATASETS, PARTITION_TAG
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.errors import DamagedObjectError, SettingsError, StorageError, WarehouseError
from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.batch import read_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.settings.groups import WatchingSettings
from preannotation_assets.watching.look import Look, look_at
from preannotation_assets.watching.memory import Memory
from preannotation_assets.watching.watch import RetryPlan

__all__ = ["build_sensor"]

_UNFINISHED: Final = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def build_sensor(settings: WatchingSettings) -> SensorDefinition:
    """The sensor ``new_datasets``, which looks and asks as the settings say."""
    plan = RetryPlan(settings.still_seconds, most_requests=settings.sensor_most_runs)

    @sensor(
        name="new_datasets",
        job=preannotate,
        minimum_interval_seconds=settings.sensor_seconds,
        description="Every dataset that is not published as the warehouse has it becomes a partition and "
        "gets a run, again and again until it is.",
    )
    def new_datasets(
        context: SensorEvaluationContext, warehouse: WarehouseResource, storage: StorageResource
    ) -> SensorResult | SkipReason:
        """Holds what is published against the warehouse, and asks for runs of what differs.

        A warehouse or a lake that cannot be read is not an empty one: the sensor skips, and what it knows
        stays. Every tick says which datasets are not published, and why.
        """
        now = time.time()
        try:
            published = partial(_published_fingerprint, storage.open())
            busy = _busy_datasets(context.instance)
            look = _look(context, warehouse, plan, busy, published, now, settings.sensor_listing_seconds)
        except (SettingsError, WarehouseError, StorageError) as error:
            return SkipReason(str(error))
        if not look.requests:
            context.update_cursor(look.memory.write())
            return SkipReason(look.account)
        context.log.info(look.account)
        return SensorResult(
            run_requests=[
                RunRequest(run_key=f"{dataset}:{now:.0f}", partition_key=dataset) for dataset in look.requests
            ],
            dynamic_partitions_requests=[DATASETS.build_add_request(look.requests)],
            cursor=look.memory.write(),
        )

    return new_datasets


def _look(
    context: SensorEvaluationContext,
    warehouse: WarehouseResource,
    plan: RetryPlan,
    busy: set[str],
    published: Callable[[str], str | None],
    now: float,
    listing_seconds: float,
) -> Look:
    with warehouse.open() as source:
        return look_at(source, Memory.read(context.cursor), plan, busy, published, now, listing_seconds)


def _published_fingerprint(store: ObjectStore, dataset: str) -> str | None:
    """The fingerprint of what is published; None also where nobody can read it: its run says what to do."""
    try:
        manifest = read_manifest(store, DatasetLayout(dataset).published_manifest, SuggestionsManifest)
    except DamagedObjectError:
        return None
    return manifest.source_fingerprint if manifest else None


def _busy_datasets(instance: DagsterInstance) -> set[str]:
    runs = instance.get_runs(RunsFilter(statuses=_UNFINISHED))
    return {partition for run in runs if (partition := run.tags.get(PARTITION_TAG))}
