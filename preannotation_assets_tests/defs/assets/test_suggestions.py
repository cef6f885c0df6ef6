"""The asset ``suggestions``, but for what needs Spark."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest
from dagster import MetadataValue, build_asset_context
from shared.calibrations import halving
from shared.published_dataset import LAYOUT, SPANS, Dataset, good_rows, page_rows
from shared.report_files import SCHEME

from preannotation_assets.contracts import RAW_MODEL_OUTPUTS
from preannotation_assets.defs.assets.suggestions import asset as module
from preannotation_assets.defs.assets.suggestions.inputs import SuggestionInputs
from preannotation_assets.errors import StorageError
from preannotation_assets.extraction.calibrated import Calibration
from preannotation_assets.extraction.labels import Example, ExampleSource
from preannotation_assets.lake import StoreLocation, read_table, write_table
from preannotation_assets.lake.layout import part_key
from preannotation_assets.manifests import RawModelOutputsManifest
from preannotation_assets.publishing.request_account import read_requests
from preannotation_assets.tasks.engine import ThisProcess, unwatched
from preannotation_assets.telemetry.stage_progress import PageCount


def inputs(
    dataset: Dataset,
    calibration: Calibration | None = None,
    holds_back: bool = False,
    part_rows: Sequence[int] = (),
) -> SuggestionInputs:
    outputs = RawModelOutputsManifest(
        dataset=LAYOUT.dataset, version="o", pages_version="v1", chunks_version="c", model="m",
        model_digest="d", model_version="v", prompt_version="p", request_fingerprint="f",
        part_rows=list(part_rows), answered=0, failed=0,
    )  # fmt: skip
    return SuggestionInputs(LAYOUT, dataset.pages, outputs, SCHEME, calibration, None, holds_back)


def test_the_report_is_linked(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    dataset.publish(good_rows())
    metadata = module._report(build_asset_context(), dataset.plain_store, inputs(dataset), None)
    assert metadata == {"report": MetadataValue.path(str(tmp_path / LAYOUT.preview))}
    assert (tmp_path / LAYOUT.preview).is_file()


def test_a_report_that_cannot_be_written_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset(tmp_path)
    dataset.publish(good_rows())

    def no_room(*_: object) -> str:
        raise StorageError("no room is left", "free some")

    monkeypatch.setattr(module, "write_report", no_room)
    warned: list[str] = []
    context = build_asset_context()
    monkeypatch.setattr(context.log, "warning", warned.append)
    assert module._report(context, dataset.plain_store, inputs(dataset), None) == {}
    assert len(warned) == 1
    assert "no room is left" in warned[0]


def test_only_another_calibration_makes_the_suggestions_anew(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path)
    without, given = inputs(dataset), inputs(dataset, halving())
    versions = {
        without.version, given.version, inputs(dataset, halving({"port": 0.3})).version,
        inputs(dataset, halving(), holds_back=True).version,
    }  # fmt: skip
    assert len(versions) == 4
    # Nothing is held back by what is not there.
    assert inputs(dataset, None, holds_back=True).version == without.version
    assert inputs(dataset, halving()).version == given.version
    assert without.model_version == "v"
    assert given.model_version == f"v/cal-{halving().content_hash}"


def test_a_publication_names_the_documents_that_its_examples_came_from(tmp_path: Path) -> None:
    without = inputs(Dataset(tmp_path))
    source = ExampleSource(dataset="d", document="0123456789abcdef")
    example = Example(text="From Hull.", spans=(), source=source)
    learned = replace(without, scheme=SCHEME.model_copy(update={"examples": (example,)}))
    assert learned.version != without.version
    requests = read_requests(Dataset(tmp_path).plain_store, LAYOUT, learned.outputs)
    assert module._draft(learned, [], requests, "run").learned_from == ["0123456789abcdef"]
    assert module._draft(without, [], requests, "run").learned_from == []


def output_rows() -> list[dict[str, Any]]:
    """An answer about each page, with the spans that are on it."""
    rows = []
    for page in page_rows():
        spans = [
            {label: page["text"][start:end]}
            for doc_id, number, start, end, label in SPANS
            if (doc_id, number) == (page["doc_id"], page["page_num"])
        ]
        known = {
            "doc_id": page["doc_id"], "page_num": page["page_num"], "chunk_index": 0, "pass_number": 1,
            "start": 0, "end": len(page["text"]), "request_key": f"{page['doc_id']} {page['page_num']}",
            "status": "answered", "answer": json.dumps({"spans": spans}), "attempts": 1,
            "estimated_prompt_tokens": 1, "endpoint": "http://x", "run_id": "r",
            "answered_at": datetime(2026, 1, 2, tzinfo=UTC),
        }  # fmt: skip
        rows.append(dict.fromkeys(RAW_MODEL_OUTPUTS.names) | known)
    return rows


def test_what_all_shares_of_a_part_have_grounded_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset(tmp_path)
    store, of = dataset.plain_store, inputs(dataset, part_rows=[3])
    table = pa.Table.from_pylist(output_rows(), schema=RAW_MODEL_OUTPUTS)
    write_table(store, part_key(of.outputs_folder, 0), table)
    storage = SimpleNamespace(location=lambda: StoreLocation(str(tmp_path)), open=lambda: store)
    monkeypatch.setattr(module, "shares_of_parts", lambda part_bytes: [4 for size in part_bytes if size])
    parts = module._ground(of, cast(Any, storage), cast(Any, ThisProcess()), unwatched)
    assert len(parts) == 4
    draft = module._draft(of, parts, read_requests(store, LAYOUT, of.outputs), "run")
    publication = module._publish(store, of, len(parts), draft, 1.0, PageCount())
    assert publication.manifest.rows == len(SPANS)
    published = read_table(store, LAYOUT.published_suggestions).to_pylist()
    assert [
        (row["doc_id"], row["page_num"], row["start"], row["end"], row["label"]) for row in published
    ] == [*SPANS]
    assert (publication.manifest.pages_with_spans, publication.manifest.pages_processed) == (2, 3)
