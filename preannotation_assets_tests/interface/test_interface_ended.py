"""``preannotate dev`` is gone with a run in it, and is started again."""

from pathlib import Path

from shared.polling import wait_for
from shared.process_table import descendants, is_alive, processes_of

from interface.serving import serve_dev
from interface.warehouse_file import WarehouseFile
from preannotation_assets.simulator import RunningSimulator, SimulatorSettings

DATASET = "vessels_ocr_40"
PAGES = 24
ASSETS = ["pages", "chunks", "raw_model_outputs"]
# It waits for what it has started, as make does.
STARTER = ("sh", "-c", '"$@"; true', "sh")


def test_whoever_started_it_dies_then_no_run_is_left_and_the_next_one_goes_on_with_it(tmp_path: Path) -> None:
    warehouse = WarehouseFile(tmp_path / "pages.duckdb")
    warehouse.add(DATASET, PAGES)
    with RunningSimulator(SimulatorSettings(slots=4, speed=12.0)) as simulator:
        with serve_dev(tmp_path, warehouse, simulator, *STARTER) as (starter, interface):
            assert (interface.home.stat().st_mode & 0o777) == 0o700
            interface.add_partition(DATASET)
            asking = {"model_server": {"max_in_flight": 2, "flush_seconds": 0.5}}
            run_id = interface.launch(ASSETS, DATASET, asking)
            answers = interface.root / "argilla" / "work" / DATASET / "answers"
            wait_for(lambda: list(answers.rglob("*.parquet")), "answers on disk", 180)
            living = descendants(starter.pid)
            assert len(living) > 5
            starter.kill()
            wait_for(lambda: not any(map(is_alive, living)), "the end of all that it started", 90)
            assert processes_of(starter.pid) == []
            asked = simulator.summary().requests
        with serve_dev(tmp_path, warehouse, simulator) as (_, interface):
            retry = wait_for(lambda: interface.retry_of(run_id), "the retry", 60)
            assert interface.wait_for_end(retry.run_id).status == "SUCCESS"
            ended = next(run for run in interface.runs() if run.run_id == run_id)
            # It said so itself, before it ended.
            assert ended.status == "FAILURE"
            assert any("interrupted" in message for message in interface.messages(run_id))
            assert f"run {run_id} had no process" not in interface.output.read_text("utf-8", "replace")
            # What was kept is not asked again: half a second of two answers at a time is lost at most, and
            # the first request of a run warms up.
            assert simulator.summary().requests <= PAGES + 8
            assert asked < PAGES
