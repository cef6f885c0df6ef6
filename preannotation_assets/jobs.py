"""The job: the main job, all four assets and their checks, for one dataset."""

from typing import Final

from dagster import AssetSelection, define_asset_job

from preannotation_assets.partitions import DATASETS

__all__ = ["preannotate"]

preannotate: Final = define_asset_job(
    "preannotate",
    selection=AssetSelection.groups("preannotation") | AssetSelection.checks_for_assets("suggestions"),
    description="From OCR pages to published suggestions, for one dataset.",
    partitions_def=DATASETS,
)
