"""What stands before and behind the pipeline. Others make it; here it is a name in the lineage graph."""

from typing import Final

from dagster import AssetSpec

__all__ = ["argilla_records", "vw_argilla_pages", "vw_argilla_responses"]

vw_argilla_pages: Final = AssetSpec(
    "vw_argilla_pages",
    group_name="preannotation",
    kinds={"duckdb"},
    description="The view of OCR pages in the warehouse (MotherDuck or a DuckDB file). It is only read: the "
    "sensor notices when a dataset is new or has changed, and `pages` takes a snapshot of it.",
)

argilla_records: Final = AssetSpec(
    "argilla_records",
    deps=["suggestions"],
    group_name="preannotation",
    kinds={"argilla"},
    description="The records that the experts see in Argilla. The loader puts the published suggestions "
    "there; this pipeline does not.",
)

vw_argilla_responses: Final = AssetSpec(
    "vw_argilla_responses",
    deps=["argilla_records"],
    group_name="preannotation",
    kinds={"duckdb"},
    description="What experts answered: a view in the warehouse, or Parquet below argilla/out in the lake. "
    "Others write it (docs/argilla-export.md); `evaluation` reads it.",
)
