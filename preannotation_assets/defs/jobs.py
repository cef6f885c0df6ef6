"""The jobs, each for one dataset: all four assets, or a part of them, checks alone, or an evaluation."""

from typing import Final

from dagster import AssetCheckKey, AssetKey, AssetSelection, DagsterInstance, define_asset_job

__all__ = [
    "apply_pool_limit",
    "ask_failures_again",
    "evaluate",
    "freshness",
    "ground_and_publish",
    "preannotate",
    "verify_published",
]

_POOL: Final = "model_server"

_EVALUATION: Final = AssetSelection.assets("evaluation")
_FRESHNESS: Final = AssetSelection.checks(AssetCheckKey(AssetKey("suggestions"), "freshness"))
_CHECKS_OF_PUBLICATION: Final = AssetSelection.checks_for_assets("suggestions") - _FRESHNESS
# Not that of the chunks, which reads all pages and chunks again.
_CHECKS_OF_A_RUN: Final = (
    AssetSelection.checks_for_assets("pages", "raw_model_outputs") | _CHECKS_OF_PUBLICATION
)

preannotate: Final = define_asset_job(
    "preannotate",
    # Without what others make, before and behind, and without the evaluation, which waits for the experts.
    selection=(AssetSelection.groups("preannotation").materializable() - _EVALUATION).without_checks()
    | _CHECKS_OF_A_RUN,
    description="From OCR pages to published suggestions, for one dataset.",
)

ask_failures_again: Final = define_asset_job(
    "ask_failures_again",
    selection=AssetSelection.assets("raw_model_outputs", "suggestions").without_checks()
    | AssetSelection.checks_for_assets("raw_model_outputs")
    | _CHECKS_OF_PUBLICATION,
    description="Asks again what got no answer, of the pages as they were read last, and publishes. What has "
    "an answer is not asked, and the warehouse is not read.",
)

ground_and_publish: Final = define_asset_job(
    "ground_and_publish",
    selection=AssetSelection.assets("suggestions").without_checks() | _CHECKS_OF_PUBLICATION,
    description="Finds the places of the quotes anew and publishes, from the answers that are there: after a "
    "change of value rules, for instance. Nothing is asked.",
)

verify_published: Final = define_asset_job(
    "verify_published",
    selection=_CHECKS_OF_PUBLICATION
    | AssetSelection.checks_for_assets("pages", "chunks", "raw_model_outputs"),
    description="Runs the checks on what is there. Nothing is asked, made or published.",
)

freshness: Final = define_asset_job(
    "freshness",
    selection=_FRESHNESS,
    description="Holds the published pages against those that the warehouse has now, by their text hashes.",
)


evaluate: Final = define_asset_job(
    "evaluate",
    selection=_EVALUATION.without_checks(),
    description="Holds the published suggestions against what experts answered. Nothing is asked "
    "or published.",
)


def apply_pool_limit(instance: DagsterInstance) -> None:
    """Makes the limit of dagster.yaml hold from the first run on; call it before the daemon starts.

    Dagster 1.13 learns of a pool when it first dequeues a run of it, and starts every run of that first
    batch: on a new instance up to ``max_concurrent_runs`` runs would ask the model at once. A limit that
    somebody has set in the web interface stays.
    """
    storage = instance.event_log_storage
    found = next((limit for limit in storage.get_pool_limits() if limit.name == _POOL), None)
    # A limit that is there is not made again: in PostgreSQL Dagster cannot go on after the row that it finds.
    if found and found.from_default and found.limit != instance.global_op_concurrency_default_limit:
        storage.delete_concurrency_limit(_POOL)
        found = None
    if found is None:
        storage.initialize_concurrency_limit_to_default(_POOL)
