"""The asset ``evaluation``: what Dagster is told of it."""

from pathlib import Path

import pytest
from dagster import DagsterInstance, FloatMetadataValue, IntMetadataValue, MaterializeResult
from dagster._core.execution.execution_result import ExecutionResult
from shared.reviewed_demo import LAYOUT, ReviewedDemo, review_demo

from preannotation_assets.definitions import build_definitions
from preannotation_assets.demo.sample import write_sample_database
from preannotation_assets.settings import Settings

PLOTTED = {
    "precision", "recall", "f1_strict", "f1_overlap", "f1_type", "actions_saved", "calibration_error",
    "brier", "mean_risk", "experts_alpha", "experts_span_f1",
}  # fmt: skip


@pytest.fixture
def demo(tmp_path: Path) -> ReviewedDemo:
    write_sample_database(tmp_path / "pages.duckdb")
    return review_demo(tmp_path / "lake")


def materialized(folder: Path) -> ExecutionResult:
    definitions = build_definitions(
        Settings.from_environment(
            {
                "PREANNOTATION_ROOT": str(folder / "lake"),
                "PREANNOTATION_DATABASE": str(folder / "pages.duckdb"),
                "PREANNOTATION_BOOTSTRAP_SAMPLES": "20",
            }
        )
    )
    with DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("datasets", [LAYOUT.dataset])
        return definitions.resolve_job_def("evaluate").execute_in_process(
            instance=instance, partition_key=LAYOUT.dataset
        )


def metadata_of(done: ExecutionResult) -> MaterializeResult[None]:
    (event,) = done.asset_materializations_for_node("evaluation")
    return MaterializeResult(metadata=event.metadata)


def test_its_figures_are_numbers_that_dagster_plots(demo: ReviewedDemo, tmp_path: Path) -> None:
    demo.write_responses()
    metadata = metadata_of(materialized(tmp_path)).metadata
    assert metadata
    plotted = {name for name, value in metadata.items() if isinstance(value, FloatMetadataValue)}
    assert plotted == PLOTTED | {"seconds"}
    pages, actions = metadata["pages"], metadata["actions"]
    assert isinstance(pages, IntMetadataValue)
    assert pages.value == demo.reviewed
    assert {name: count for name, count in actions.data.items() if count} == demo.actions  # type: ignore[union-attr]
    assert "spans_lost_by_words" not in metadata
    assert Path(metadata["report"].path).is_file()  # type: ignore[union-attr, arg-type]


def test_what_empty_pages_could_save_is_plotted_where_it_is_known(demo: ReviewedDemo, tmp_path: Path) -> None:
    demo.empty_every_second_document()
    demo.write_responses()
    demo.write_requests()
    metadata = metadata_of(materialized(tmp_path)).metadata
    assert metadata
    plotted = {name for name, value in metadata.items() if isinstance(value, FloatMetadataValue)}
    assert plotted >= {"requests_saved_by_words", "spans_lost_by_words", "requests_saved_by_letters"}
    empty, pages = metadata["empty_pages"], metadata["pages"]
    assert isinstance(empty, IntMetadataValue)
    assert isinstance(pages, IntMetadataValue)
    assert 0 < (empty.value or 0) < (pages.value or 0)


def test_without_responses_it_succeeds_and_says_so(
    demo: ReviewedDemo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done = materialized(tmp_path)
    assert done.success
    metadata = metadata_of(done).metadata
    assert metadata
    assert set(metadata) == {"pages", "seconds"}
    assert metadata["pages"].value == 0  # type: ignore[union-attr]
