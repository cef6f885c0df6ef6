"""Whether what is published is still what the warehouse has: a check, and a schedule over all datasets."""

from collections.abc import Iterator

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    DefaultScheduleStatus,
    RunRequest,
    ScheduleEvaluationContext,
    SkipReason,
    multi_asset_check,
    schedule,
)

from preannotation_assets.defs.assets.suggestions.asset import suggestions
from preannotation_assets.defs.check_results import Share, check_specs, offender_table, share_result
from preannotation_assets.defs.jobs import freshness
from preannotation_assets.defs.partitions import PARTITION_TAG, dataset_of
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.errors import SettingsError, StorageError
from preannotation_assets.lake.batch import not_materialized
from preannotation_assets.overview.datasets import DatasetState, explained, list_published, overview_of
from preannotation_assets.overview.freshness import Freshness

__all__ = ["freshness_check", "freshness_of_all"]

_MOST_NAMED = 10


@multi_asset_check(
    specs=check_specs(
        suggestions, {"freshness": "The warehouse has the pages that are published, as they are."}
    ),
    can_subset=True,
)
def freshness_check(
    context: AssetCheckExecutionContext, storage: StorageResource, warehouse: WarehouseResource
) -> Iterator[AssetCheckResult]:
    """Holds fingerprints against one another, and where these differ text hashes; nothing is asked.

    Raises:
        BatchError: nothing is published.
    """
    store, dataset = storage.open(), dataset_of(context)
    with warehouse.open() as source:
        found = explained(source, store, overview_of(source, store, dataset, source.find_dataset(dataset)))
    if found.manifest is None:
        raise not_materialized("suggestions", dataset)
    pages = found.freshness or Freshness(found.pages)
    named = [(page.doc_id, page.page_num, page.change.value) for page in pages.stale_pages[:_MOST_NAMED]]
    yield share_result(
        "freshness",
        Share(pages.changes.total(), max(pages.rows, pages.changes.total())),
        passed=found.state is DatasetState.PUBLISHED,
        words=f"{found.difference}: preannotate run {dataset} publishes the warehouse's",
        offenders=offender_table(("doc_id", "page_num", "change"), named),
    )


@schedule(
    name="freshness_of_all",
    job=freshness,
    cron_schedule="0 6 * * *",
    default_status=DefaultScheduleStatus.STOPPED,
    description="Every day at 6: holds each published dataset against the warehouse. Off by default.",
)
def freshness_of_all(_: ScheduleEvaluationContext, storage: StorageResource) -> list[RunRequest] | SkipReason:
    """A run of the job ``freshness`` for every dataset that has something published."""
    try:
        datasets = list_published(storage.open())
    except (SettingsError, StorageError) as error:
        return SkipReason(str(error))
    if not datasets:
        return SkipReason("nothing is published")
    return [RunRequest(tags={PARTITION_TAG: dataset}) for dataset in datasets]
