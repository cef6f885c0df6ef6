"""The jobs beside the main one, on what is published: checks alone, and the schedule over all datasets."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from dagster import (
    AssetCheckKey,
    AssetKey,
    AssetSelection,
    DagsterInstance,
    DefaultScheduleStatus,
    Definitions,
    SkipReason,
    TableMetadataValue,
    build_schedule_context,
    define_asset_job,
)
from shared.published_dataset import LABELS, LAYOUT, Dataset, good_rows, page_rows
from shared.warehouse_file import write_warehouse

from preannotation_assets.contracts import CHUNKS, GROUNDINGS, RAW_MODEL_OUTPUTS
from preannotation_assets.definitions import build_definitions
from preannotation_assets.defs.freshness import freshness_of_all
from preannotation_assets.defs.partitions import PARTITION_TAG
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.lake import write_table
from preannotation_assets.lake.batch import write_manifest
from preannotation_assets.lake.layout import part_key
from preannotation_assets.manifests import ChunksManifest, FailedPage, RawModelOutputsManifest
from preannotation_assets.settings import Settings
from preannotation_assets.settings.groups import WarehouseSettings
from preannotation_assets.warehouse import open_warehouse

NAME = LAYOUT.dataset
MAKES = {"pages", "chunks", "raw_model_outputs", "suggestions", "evaluation"}
OF_SUGGESTIONS = {
    "offsets", "span_ids", "contract", "failed_pages", "grounded_quotes", "empty_answers", "kept_rows",
}  # fmt: skip
JOBS = {
    "preannotate": MAKES - {"evaluation"} | OF_SUGGESTIONS | {"left_out_pages", "failure_rate"},
    "ask_failures_again": {"raw_model_outputs", "suggestions", "failure_rate"} | OF_SUGGESTIONS,
    "ground_and_publish": {"suggestions"} | OF_SUGGESTIONS,
    "verify_published": OF_SUGGESTIONS | {"left_out_pages", "chunk_offsets", "failure_rate"},
    "freshness": {"freshness"},
    "evaluate": {"evaluation"},
}


def whole_pages() -> list[dict[str, Any]]:
    """A chunk for each page."""
    return [
        {
            "doc_id": page["doc_id"],
            "page_num": page["page_num"],
            "chunk_index": 0,
            "start": 0,
            "end": len(page["text"]),
            "text": page["text"],
            "chunk_sha256": page["text_sha256"],
            "estimated_tokens": 9,
        }
        for page in page_rows()
    ]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """A published dataset with chunks; each page is one."""
    dataset = Dataset(tmp_path / "lake")
    keep_chunks(dataset, whole_pages())
    write_warehouse(tmp_path / "pages.duckdb", page_rows())
    return dataset


def keep_chunks(dataset: Dataset, chunks: list[dict[str, Any]]) -> None:
    key = part_key(LAYOUT.stage("chunks", "c1"), 0)
    write_table(dataset.plain_store, key, pa.Table.from_pylist(chunks, schema=CHUNKS))
    manifest = ChunksManifest(
        dataset=NAME, version="c1", pages_version="v1", chunk_tokens=6000, overlap_tokens=200,
        calibration=1.0, part_rows=[len(chunks)], chunks=len(chunks), estimated_tokens=9,
    )  # fmt: skip
    write_manifest(dataset.plain_store, LAYOUT.stage_manifest("chunks"), manifest)


@pytest.fixture
def definitions(tmp_path: Path) -> Definitions:
    scheme = tmp_path / "labels.yaml"
    labels = "".join(f"  - {{name: {label}, definition: A {label}.}}\n" for label in LABELS)
    scheme.write_text(f"name: test\nversion: 1\nlabels:\n{labels}")
    return build_definitions(
        Settings.from_environment(
            {
                "PREANNOTATION_ROOT": str(tmp_path / "lake"),
                "PREANNOTATION_DATABASE": str(tmp_path / "pages.duckdb"),
                "PREANNOTATION_LABELS": str(scheme),
            }
        )
    )


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as instance:
        yield instance


class Found:
    """What a check found that was run alone."""

    def __init__(self, definitions: Definitions, instance: DagsterInstance, asset: str, check: str) -> None:
        key = AssetCheckKey(AssetKey(asset), check)
        alone = define_asset_job("alone", AssetSelection.checks(key))
        with_job = Definitions.merge(definitions, Definitions(jobs=[alone]))
        done = with_job.resolve_job_def("alone").execute_in_process(
            instance=instance, tags={PARTITION_TAG: NAME}
        )
        (found,) = done.get_asset_check_evaluations()
        self.passed, self.severity = found.passed, found.severity.value
        self.words = found.description or ""
        self.metadata = found.metadata

    @property
    def offenders(self) -> list[dict[str, Any]]:
        table = self.metadata["offenders"]
        assert isinstance(table, TableMetadataValue)
        return [dict(record.data) for record in table.records]


def nodes_of(definitions: Definitions, job: str) -> set[str]:
    """Which assets a job makes, and which checks it runs."""
    layer = definitions.resolve_job_def(job).asset_layer
    made = {key.to_user_string() for key in layer.selected_asset_keys} & MAKES
    return made | {key.name for key in layer.asset_graph.asset_check_keys}


def test_each_job_makes_and_checks_what_it_says(definitions: Definitions) -> None:
    found = {job: nodes_of(definitions, job) for job in JOBS}
    assert found == JOBS


@pytest.mark.parametrize("check", sorted(OF_SUGGESTIONS))
def test_each_check_of_the_suggestions_can_be_run_alone(
    definitions: Definitions, instance: DagsterInstance, dataset: Dataset, check: str
) -> None:
    dataset.publish(good_rows(), quotes_by_outcome={"kept": 4})
    assert Found(definitions, instance, "suggestions", check).passed


def test_pages_that_failed_are_listed_with_their_reasons(
    definitions: Definitions, instance: DagsterInstance, dataset: Dataset
) -> None:
    failed = [FailedPage(doc_id=f"{NAME}/c\x1b", page_num=each, reason="timeout") for each in range(30)]
    dataset.publish(good_rows(), failed_pages=failed)
    found = Found(definitions, instance, "suggestions", "failed_pages")
    assert (found.passed, found.severity) == (False, "WARN")
    assert "30 of 33 (90.9%) pages failed: 30 timeout" in found.words
    assert f"preannotate run {NAME}" in found.words
    assert len(found.offenders) == 20
    assert found.offenders[0] == {
        "doc_id": f"{NAME}/c\N{SYMBOL FOR ESCAPE}",
        "page_num": 0,
        "reason": "timeout",
    }


def test_quotes_that_were_not_found_are_counted_by_outcome_and_page(
    definitions: Definitions, instance: DagsterInstance, dataset: Dataset
) -> None:
    dataset.publish(good_rows(), quotes_by_outcome={"kept": 1, "invalid_value": 1, "not_found": 3})
    grounding = dict.fromkeys(GROUNDINGS.names) | {
        "chunk_start": 0, "answer_index": 0, "label": "port", "quote": "x", "outcome": "not_found",
    }  # fmt: skip
    pages = [(f"{NAME}/a", 2), (f"{NAME}/b", 1), (f"{NAME}/b", 1)]
    rows = [grounding | {"doc_id": doc_id, "page_num": page} for doc_id, page in pages]
    kept = grounding | {"doc_id": f"{NAME}/a", "page_num": 1, "outcome": "kept"}
    key = part_key(f"{LAYOUT.stage('suggestions', 'i')}/groundings", 0)
    write_table(dataset.plain_store, key, pa.Table.from_pylist([*rows, kept], schema=GROUNDINGS))
    found = Found(definitions, instance, "suggestions", "grounded_quotes")
    assert not found.passed
    assert "2 of 5 (40.0%) quotes were found" in found.words
    assert "the others: 3 not_found;" in found.words
    assert found.offenders == [
        {"doc_id": f"{NAME}/b", "page_num": 1, "quotes": 2},
        {"doc_id": f"{NAME}/a", "page_num": 2, "quotes": 1},
    ]


def test_pages_left_out_of_the_snapshot_are_a_warning(
    definitions: Definitions, instance: DagsterInstance, dataset: Dataset
) -> None:
    assert Found(definitions, instance, "pages", "left_out_pages").passed
    left_out = [FailedPage(doc_id=f"{NAME}/x", page_num=None, reason="hash_mismatch")]
    manifest = dataset.pages.model_copy(update={"failed_pages": left_out})
    write_manifest(dataset.plain_store, LAYOUT.stage_manifest("pages"), manifest)
    found = Found(definitions, instance, "pages", "left_out_pages")
    assert (found.passed, found.severity) == (False, "WARN")
    assert "1 of 4 (25.0%) pages are left out: 1 hash_mismatch" in found.words
    assert found.offenders == [{"doc_id": f"{NAME}/x", "page_num": None, "reason": "hash_mismatch"}]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"end": 5}, "text is page_text[start:end]"),
        ({"end": 5, "text": page_rows()[2]["text"][:5]}, "the chunks of a page cover all of it but blanks"),
        ({"doc_id": f"{NAME}/z"}, "the chunk's page is in the snapshot"),
    ],
)
def test_chunks_that_are_not_their_page_are_an_error(
    definitions: Definitions,
    instance: DagsterInstance,
    dataset: Dataset,
    change: dict[str, Any],
    rule: str,
) -> None:
    assert Found(definitions, instance, "chunks", "chunk_offsets").passed
    *others, last = whole_pages()
    keep_chunks(dataset, [*others, last | change])
    found = Found(definitions, instance, "chunks", "chunk_offsets")
    assert (found.passed, found.severity) == (False, "ERROR")
    assert rule in [offender["rule"] for offender in found.offenders]


def test_requests_that_failed_are_a_warning_that_names_them(
    definitions: Definitions, instance: DagsterInstance, dataset: Dataset
) -> None:
    answer = dict.fromkeys(RAW_MODEL_OUTPUTS.names) | {
        "doc_id": f"{NAME}/a", "page_num": 1, "chunk_index": 0, "pass_number": 1, "start": 0, "end": 1,
        "request_key": "k", "status": "failed", "reason": "timeout", "estimated_prompt_tokens": 1,
        "attempts": 6, "answered_at": datetime(2026, 1, 2, tzinfo=UTC), "run_id": "r",
    }  # fmt: skip
    # Leaves what the first pass gave, and is not among those that are counted.
    second = answer | {"page_num": 2, "pass_number": 2, "reason": "truncated"}
    key = part_key(LAYOUT.stage("raw_model_outputs", "o1"), 0)
    write_table(dataset.plain_store, key, pa.Table.from_pylist([answer, second], schema=RAW_MODEL_OUTPUTS))
    manifest = RawModelOutputsManifest(
        dataset=NAME, version="o1", pages_version="v1", chunks_version="c1", model="m", model_digest="d",
        model_version="v", prompt_version="p", request_fingerprint="f", part_rows=[2], answered=3, failed=1,
    )  # fmt: skip
    write_manifest(dataset.plain_store, LAYOUT.stage_manifest("raw_model_outputs"), manifest)
    found = Found(definitions, instance, "raw_model_outputs", "failure_rate")
    assert (found.passed, found.severity) == (False, "WARN")
    assert "1 of 4 (25.0%) requests failed: 1 timeout; what failed" in found.words
    assert "ask_failures_again" in found.words
    assert found.offenders == [{"doc_id": f"{NAME}/a", "page_num": 1, "chunk_index": 0, "reason": "timeout"}]


def test_a_warehouse_that_has_moved_on_is_a_warning_with_the_pages(
    definitions: Definitions, instance: DagsterInstance, dataset: Dataset, tmp_path: Path
) -> None:
    dataset.publish(good_rows())
    assert Found(definitions, instance, "suggestions", "freshness").passed
    moved = [page | {"text_sha256": "f" * 64} for page in page_rows()[:1]]
    write_warehouse(tmp_path / "pages.duckdb", [*moved, *page_rows()[1:2]])
    found = Found(definitions, instance, "suggestions", "freshness")
    assert (found.passed, found.severity) == (False, "WARN")
    assert "1 pages changed, 1 pages gone" in found.words
    assert found.metadata["count"].value == 2
    assert found.offenders == [
        {"doc_id": f"{NAME}/a", "page_num": 1, "change": "changed"},
        {"doc_id": f"{NAME}/b", "page_num": 1, "change": "gone"},
    ]


def test_the_freshness_check_and_the_overview_say_the_same_of_a_failed_page(
    definitions: Definitions, instance: DagsterInstance, dataset: Dataset, tmp_path: Path
) -> None:
    with open_warehouse(WarehouseSettings(database=str(tmp_path / "pages.duckdb"))) as source:
        (listed,) = source.list_datasets()
    failed = FailedPage(doc_id=f"{NAME}/a", page_num=2, reason="timeout")
    dataset.publish(good_rows(), failed_pages=[failed], source_fingerprint=listed.fingerprint)
    assert Found(definitions, instance, "suggestions", "freshness").passed
    mended = page_rows()
    mended[1]["text_sha256"] = "f" * 64
    write_warehouse(tmp_path / "pages.duckdb", mended)
    found = Found(definitions, instance, "suggestions", "freshness")
    assert not found.passed
    assert "only pages that failed, or rows that are there twice, differ: preannotate run" in found.words
    assert found.metadata["of"].value == 3


def test_a_check_without_a_dataset_says_how_to_name_one(
    definitions: Definitions, instance: DagsterInstance
) -> None:
    done = definitions.resolve_job_def("freshness").execute_in_process(
        instance=instance, raise_on_error=False
    )
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    said = str(failure.step_failure_data.error)
    assert "no dataset is named: launch it with the tag dagster/partition" in said


def test_the_schedule_looks_at_every_published_dataset(tmp_path: Path) -> None:
    storage = StorageResource(root=str(tmp_path / "lake"))
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        empty = freshness_of_all(build_schedule_context(instance, resources={"storage": storage}))
        assert isinstance(empty, SkipReason)
        Dataset(tmp_path / "lake").publish(good_rows())
        requests = freshness_of_all(build_schedule_context(instance, resources={"storage": storage}))
        assert isinstance(requests, list)
        assert [request.tags[PARTITION_TAG] for request in requests] == [NAME]
    assert freshness_of_all.default_status is DefaultScheduleStatus.STOPPED
