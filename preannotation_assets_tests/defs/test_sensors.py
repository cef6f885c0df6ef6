import json
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from dagster import DagsterInstance, SensorResult, SkipReason, build_sensor_context

from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.defs.sensors import new_datasets

TEXT = "ZEBRAQUARTZ"


def warehouse(folder: Path, datasets: Sequence[str]) -> WarehouseResource:
    path = folder / "warehouse.duckdb"
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE p(doc_id VARCHAR, page_num INTEGER, text VARCHAR, text_sha256 VARCHAR)"
        )
        connection.execute("CREATE VIEW vw_argilla_pages AS SELECT * FROM p")
        rows = [(f"{dataset}/1", 1, TEXT, "0") for dataset in datasets]
        connection.executemany("INSERT INTO p VALUES (?, ?, ?, ?)", rows)
    return WarehouseResource(database=str(path))


def tick(resource: WarehouseResource, cursor: str | None = None) -> SensorResult | SkipReason:
    with DagsterInstance.ephemeral() as instance:
        context = build_sensor_context(instance, cursor=cursor, resources={"warehouse": resource})
        result = new_datasets(context)
    assert isinstance(result, SensorResult | SkipReason)
    return result


def reason(result: SensorResult | SkipReason) -> str:
    assert isinstance(result, SkipReason)
    assert result.skip_message is not None
    return result.skip_message


def test_a_dataset_that_cannot_be_run_is_named_when_there_is_nothing_else(tmp_path: Path) -> None:
    said = reason(tick(warehouse(tmp_path, ["vessels_ocr_größe", "vessels_ocr_船"])))
    assert said.startswith("0 datasets, none of them new or changed; 2 left out because of their names: ")
    # In ASCII, so that names that look alike are seen to differ.
    assert "'vessels_ocr_gr\\xf6\\xdfe', 'vessels_ocr_\\u8239'" in said
    assert TEXT not in said


def test_it_is_named_once_a_tick_beside_those_that_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tick(warehouse(tmp_path, ["vessels_ocr_1", "vessels_ocr_größe"]))
    assert isinstance(result, SensorResult)
    assert [request.partition_key for request in result.run_requests or ()] == ["vessels_ocr_1"]
    assert list(json.loads(result.cursor or "")) == ["vessels_ocr_1"]
    warnings = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert len(warnings) == 1
    assert "1 left out because of their names: 'vessels_ocr_gr\\xf6\\xdfe' (" in warnings[0]
    said = reason(tick(warehouse(tmp_path, ["vessels_ocr_1", "vessels_ocr_größe"]), result.cursor))
    assert said.startswith("1 datasets, none of them new or changed; 1 left out")


def test_many_are_counted_and_ten_are_named(tmp_path: Path) -> None:
    said = reason(tick(warehouse(tmp_path, [f"vessels_ocr_é{number}" for number in range(25)])))
    assert "25 left out" in said
    assert said.count("vessels_ocr_") == 10
    assert " and 15 more" in said


def test_nothing_is_said_where_nothing_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tick(warehouse(tmp_path, ["vessels_ocr_1"]))
    assert isinstance(result, SensorResult)
    assert "left out" not in capsys.readouterr().err
    assert reason(tick(warehouse(tmp_path, ["vessels_ocr_1"]), result.cursor)) == (
        "1 datasets, none of them new or changed"
    )
