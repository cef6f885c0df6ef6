"""The job: the main job, all four assets and their checks, for one dataset."""

from typing import Final

from dagster import AssetSelection, DagsterInstance, define_asset_job

__all__ = ["apply_pool_limit", "preannotate"]

_POOL: Final = "model_server"

preannotate: Final = define_asset_job(
    "preannotate",
    # Without what others make: the view before and the records behind.
    selection=AssetSelection.groups("preannotation").materializable()
    | AssetSelection.checks_for_assets("suggestions"),
    description="From OCR pages to published suggestions, for one dataset.",
)


def apply_pool_limit(instance: DagsterInstance) -> None:
    """Makes the limit of dagster.yaml hold from the first run on; call it before the daemon starts.

    Dagster 1.13 learns of a pool when it first dequeues a run of it, and starts every run of that first
    batch: on a new instance up to ``max_concurrent_runs`` runs would ask the model at once.
    """
    instance.event_log_storage.initialize_concurrency_limit_to_default(_POOL)
