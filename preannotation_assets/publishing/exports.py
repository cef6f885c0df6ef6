"""What is published, in the forms that other tools read: Label Studio's tasks, JSON lines, CSV.

All hold page text: the quotes, and for Label Studio the whole pages, as it shows nothing without them.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from statistics import fmean
from typing import Any, Final, TextIO

from preannotation_assets.contracts import PAGES, SUGGESTIONS
from preannotation_assets.errors import BatchError
from preannotation_assets.lake import ObjectStore, Row
from preannotation_assets.lake.batch import iterate_rows, require_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import PagesManifest, SuggestionsManifest
from preannotation_assets.publishing.aligned_pages import PageKey, page_key
from preannotation_assets.publishing.page_walk import walk_pages
from preannotation_assets.publishing.published_file import downloaded, rows_of, verify_file
from preannotation_assets.publishing.shown_ids import shown_page

__all__ = ["ExportFormat", "export"]

# The names of the tags in the labelling configuration, as Label Studio's own template for spans has them.
_FROM_NAME: Final = "label"
_TO_NAME: Final = "text"


class ExportFormat(StrEnum):
    """For whom it is written."""

    LABEL_STUDIO = "label-studio"
    JSON_LINES = "jsonl"
    CSV = "csv"


def export(store: ObjectStore, dataset: str, form: ExportFormat, output: TextIO) -> int:
    """Writes what is published; how many rows there were.

    Raises:
        BatchError: nothing is published; or, for Label Studio, the snapshot has other pages by now.
        VerificationError: the published Parquet is not the one that its manifest names.
        StorageError: the lake cannot be read.
    """
    layout = DatasetLayout(dataset)
    manifest = require_manifest(store, layout.published_manifest, SuggestionsManifest, dataset, "suggestions")
    with downloaded(store, layout, manifest) as path:
        verify_file(path, manifest)
        rows = rows_of(path, dataset, SUGGESTIONS.names)
        match form:
            case ExportFormat.LABEL_STUDIO:
                _write_tasks(_tasks(store, layout, manifest, rows), output)
            case ExportFormat.JSON_LINES:
                for row in rows:
                    output.write(json.dumps(_plain(row), ensure_ascii=False) + "\n")
            case ExportFormat.CSV:
                table = csv.DictWriter(output, SUGGESTIONS.names, lineterminator="\n")
                table.writeheader()
                table.writerows(map(_plain, rows))
    return manifest.rows


def _tasks(
    store: ObjectStore, layout: DatasetLayout, manifest: SuggestionsManifest, rows: Iterator[Row]
) -> Iterator[dict[str, Any]]:
    """A task for each page that did not fail; its prediction has no results where nothing is marked."""
    for walked in walk_pages(_pages(store, layout), rows, manifest):
        spans, said = walked.rows, walked.rows or walked.without_spans
        if walked.page is None and spans:
            raise _of_other_pages(layout.dataset, walked.key)
        if walked.page and (spans or not walked.failed):
            yield _task(walked.page, spans, manifest, said[0]["text_sha256"] if said else None)


def _pages(store: ObjectStore, layout: DatasetLayout) -> Iterator[Row]:
    snapshot = require_manifest(store, layout.stage_manifest("pages"), PagesManifest, layout.dataset, "pages")
    return iterate_rows(store, layout.stage("pages", snapshot.version), len(snapshot.part_rows), PAGES)


def _task(
    page: Row, spans: Sequence[Row], manifest: SuggestionsManifest, published_hash: str | None
) -> dict[str, Any]:
    if page["text_sha256"] != published_hash:
        raise _of_other_pages(manifest.dataset, page_key(page))
    known = [span["confidence"] for span in spans if span["confidence"] is not None]
    prediction = {
        "model_version": f"{manifest.model}/{manifest.model_version}",
        "result": [_region(span) for span in spans],
        **({"score": fmean(known)} if known else {}),
    }
    data = {name: page[name] for name in ("text", "doc_id", "page_num", "text_sha256")}
    return {"data": data, "predictions": [prediction]}


def _region(span: Row) -> dict[str, Any]:
    """Offsets are code points, as Label Studio counts them since its frontend's pull request 308."""
    confidence = span["confidence"]
    return {
        "id": span["span_id"],
        "from_name": _FROM_NAME,
        "to_name": _TO_NAME,
        "type": "labels",
        "value": {
            "start": span["start"],
            "end": span["end"],
            "text": span["text"],
            "labels": [span["label"]],
        },
        **({} if confidence is None else {"score": confidence}),
    }


def _write_tasks(tasks: Iterator[dict[str, Any]], output: TextIO) -> None:
    """One JSON list, a task a line; one is held at a time."""
    separator = "[\n"
    for task in tasks:
        output.write(separator + json.dumps(task, ensure_ascii=False))
        separator = ",\n"
    output.write("[]\n" if separator == "[\n" else "\n]\n")


def _of_other_pages(dataset: str, page: PageKey) -> BatchError:
    return BatchError(
        f"the snapshot of {dataset} has another {shown_page(*page)} than is published",
        f"preannotate run {dataset} publishes what it has",
    )


def _plain(row: Row) -> dict[str, Any]:
    """The row with its time as ISO 8601."""
    return {**row, "generated_at": row["generated_at"].isoformat()}
