"""What a library says of a failure is not among what Dagster keeps of a run."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from dagster import DagsterInstance, ExecuteInProcessResult, in_process_executor, job, materialize, op

from preannotation_assets.cli import dataset_run
from preannotation_assets.defs.assets.pages import pages
from preannotation_assets.defs.partitions import add_dataset
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.errors import StorageError
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.lake.local_errors import local_errors
from preannotation_assets.telemetry.stage_progress import LogAlone

MARKER = "ZEBRAQUARTZ"
LAYOUT = DatasetLayout("vessels_ocr_7")


def kept(folder: Path) -> list[str]:
    """The files of Dagster in which the marker is, its databases too."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert any(file.suffix == ".db" for file in files)
    return [file.name for file in files if MARKER.encode() in file.read_bytes()]


def in_a_handler() -> None:
    try:
        int(MARKER)
    except ValueError:
        give_up()


def in_a_handler_of_a_chain() -> None:
    try:
        try:
            int(MARKER)
        except ValueError as error:
            raise KeyError(MARKER) from error
    except KeyError:
        give_up()


def give_up() -> None:
    raise StorageError("it is damaged", "remove it")


def by_the_operating_system() -> None:
    with local_errors("the place"):
        raise OSError(5, MARKER)


def by_arrow() -> None:
    try:
        pa.array([MARKER]).cast(pa.int64())
    except pa.ArrowException:
        give_up()


@pytest.mark.parametrize("fails", [in_a_handler, in_a_handler_of_a_chain, by_the_operating_system, by_arrow])
def test_no_other_exception_is_kept_beside_ours(tmp_path: Path, fails: Callable[[], None]) -> None:
    @op
    def failing() -> None:
        fails()

    @job(executor_def=in_process_executor)
    def fails_at_once() -> None:
        failing()

    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        result = fails_at_once.execute_in_process(instance=instance, raise_on_error=False)
        check_cause(result)
    assert kept(tmp_path) == []


def check_cause(result: ExecuteInProcessResult) -> None:
    """That our error is the last one of the chain that the event has."""
    (failure,) = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    assert failure is not None
    assert failure.cause is not None
    assert "StorageError" in failure.cause.message
    assert (failure.cause.cause, failure.cause.context) == (None, None)


VIEWS = {
    "a cast in the middle": f"CASE WHEN i = 2500 THEN '{MARKER}'::INTEGER::VARCHAR ELSE 'text' END",
    "text that is no JSON": f"CASE WHEN i = 2500 THEN '{MARKER}'::JSON->>'$.a' ELSE 'text' END",
}


@pytest.mark.parametrize("view", VIEWS)
def test_what_duckdb_says_of_a_page_is_not_kept(tmp_path: Path, view: str) -> None:
    path, home = tmp_path / "pages.duckdb", tmp_path / "home"
    home.mkdir()
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"""CREATE VIEW vw_argilla_pages AS
            SELECT '{LAYOUT.dataset}/1' AS doc_id, i::INTEGER AS page_num, {VIEWS[view]} AS text,
                   '{text_sha256("text")}' AS text_sha256
            FROM range(3000) r(i)"""
        )
    with DagsterInstance.local_temp(str(home)) as instance:
        add_dataset(instance, LAYOUT.dataset)
        resources = {
            "progress": LogAlone(),
            "warehouse": WarehouseResource(database=str(path)),
            "storage": StorageResource(root=str(tmp_path / "lake")),
        }
        result = materialize(
            [pages],
            partition_key=LAYOUT.dataset,
            instance=instance,
            resources=resources,
            raise_on_error=False,
        )
        assert not result.success
        assert dataset_run._failure(result).startswith("the pages cannot be read: DuckDB says ")
    assert kept(home) == []
