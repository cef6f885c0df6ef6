"""What the assets share: owners, and numbers for their metadata."""

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
from dagster import TableColumn, TableColumnConstraints, TableSchema

from preannotation_assets.contracts import column_descriptions
from preannotation_assets.errors import BatchError
from preannotation_assets.lake import FetchedBytes, ObjectStore
from preannotation_assets.lake.batch import require_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import PagesManifest

__all__ = [
    "OWNERS",
    "MetadataValues",
    "column_schema",
    "fetched_metadata",
    "per_second",
    "require_current_pages",
    "without_empty",
]

MetadataValues = dict[str, Any]

OWNERS: Final = ["team:preannotation"]


def column_schema(schema: pa.Schema) -> Mapping[str, Any]:
    """Asset metadata from which Dagster shows the columns."""
    descriptions = column_descriptions(schema)
    columns = [
        TableColumn(
            column.name,
            str(column.type),
            descriptions[column.name],
            TableColumnConstraints(nullable=column.nullable),
        )
        for column in schema
    ]
    return {"dagster/column_schema": TableSchema(columns)}


def without_empty(values: MetadataValues) -> MetadataValues:
    """The metadata without what this run does not know, or has nothing of: None and empty mappings."""
    return {name: value for name, value in values.items() if value is not None and value != {}}


def per_second(count: int, seconds: float) -> float | None:
    """A rate; None where no time has passed."""
    return round(count / seconds, 3) if seconds > 0 else None


def fetched_metadata(fetched: FetchedBytes) -> MetadataValues:
    """What a stage fetched from the lake, driver and tasks together: bytes, and requests for them."""
    return {"bytes_fetched": fetched.bytes, "fetches": fetched.requests}


def require_current_pages(
    store: ObjectStore, layout: DatasetLayout, version: str, stage: str
) -> PagesManifest:
    """The snapshot, if ``stage`` was made of its present version.

    Raises:
        BatchError: there is no snapshot, or ``stage`` was made of an older one.
    """
    pages = require_manifest(store, layout.stage_manifest("pages"), PagesManifest, layout.dataset, "pages")
    if pages.version != version:
        raise BatchError(f"{stage} of {layout.dataset} are of older pages", f"materialize {stage} again")
    return pages
