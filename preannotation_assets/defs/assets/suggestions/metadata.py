"""What a publication came to, as metadata of ``suggestions``. Counts, ids and rates; no page text."""

from typing import Final

import pyarrow as pa
from dagster import MetadataValue, TableColumn, TableMetadataValue, TableRecord, TableSchema

from preannotation_assets.defs.assets.common import (
    MetadataValues,
    fetched_metadata,
    per_second,
    without_empty,
)
from preannotation_assets.defs.assets.quality import quality_numbers
from preannotation_assets.defs.assets.suggestions.inputs import SuggestionInputs
from preannotation_assets.lake import FetchedBytes, ObjectStore, read_table
from preannotation_assets.lake.layout import part_key
from preannotation_assets.publishing.publisher import Publication
from preannotation_assets.publishing.shown_ids import shown_id

__all__ = ["suggestions_metadata"]

_PREVIEW_ROWS: Final = 10
_PREVIEW_COLUMNS: Final = ("doc_id", "page_num", "label", "start", "end", "confidence")


def suggestions_metadata(
    store: ObjectStore,
    inputs: SuggestionInputs,
    publication: Publication,
    fetched: FetchedBytes,
    seconds: float,
) -> MetadataValues:
    """What was published, of which quality, and what it took; ``fetched`` is what the tasks fetched."""
    manifest = publication.manifest
    processed = manifest.pages_processed
    preview = _preview(store, inputs)
    return without_empty(
        {
            "dagster/row_count": manifest.rows,
            "parquet_bytes": manifest.bytes,
            "changed": publication.changed,
            "pages_processed": processed,
            "pages_with_spans": manifest.pages_with_spans,
            "pages_without_spans": len(manifest.pages_without_spans),
            "pages_by_answer": manifest.pages_by_answer,
            "empty_answers": inputs.outputs.empty_answers,
            "failed_pages": len(manifest.failed_pages),
            "spans_by_label": manifest.spans_by_label,
            "quotes_by_outcome": manifest.quotes_by_outcome,
            "groundings_by_match": manifest.groundings_by_match,
            "values_by_verdict": manifest.values_by_verdict,
            "confidences_by_source": manifest.confidences_by_source,
            "calibration": manifest.calibration,
            "held_back": manifest.held_back,
            "chunks_by_model": manifest.cascade and manifest.cascade.chunks_by_model,
            "rows_by_model": manifest.rows_by_model,
            "rows_on_unchanged_pages": manifest.comparison and manifest.comparison.model_dump(),
            "model": manifest.model,
            "model_version": manifest.model_version,
            **quality_numbers(manifest),
            **fetched_metadata(fetched + store.fetched),
            "seconds": round(seconds, 3),
            "pages_per_second": per_second(processed, seconds),
            "published": MetadataValue.path(store.uri(inputs.layout.published_suggestions)),
            "manifest": MetadataValue.path(store.uri(inputs.layout.published_manifest)),
            "preview": preview,
        }
    )


def _preview(store: ObjectStore, inputs: SuggestionInputs) -> TableMetadataValue:
    """The first rows, without their text."""
    first = part_key(inputs.rows_folder, 0)
    has_rows = store.stat(first) is not None
    table = read_table(store, first, _PREVIEW_COLUMNS) if has_rows else pa.table({})
    rows = table.slice(0, _PREVIEW_ROWS).to_pylist()
    records = [
        TableRecord(
            row
            | {name: shown_id(row[name]) for name in ("doc_id", "label")}
            | {"confidence": _rounded(row["confidence"])}
        )
        for row in rows
    ]
    return MetadataValue.table(records, TableSchema([TableColumn(name) for name in _PREVIEW_COLUMNS]))


def _rounded(confidence: float | None) -> float | None:
    return None if confidence is None else round(confidence, 3)
