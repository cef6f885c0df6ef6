"""A run that is ended from outside, and the one that goes on with its answers."""

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from dagster import DagsterInstance, DagsterRunStatus
from shared.polling import wait_for

from end_to_end.user_place import DATASET, MARKER, REPORT, asked, leaks, make_place
from preannotation_assets.simulator import RunningSimulator, SimulatorSettings


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_ended_run_is_marked_and_resumed(
    tmp_path: Path, preannotate: Callable[..., tuple[int, str, str]], number: signal.Signals
) -> None:
    pages = {f"page {index}": f"Page {index}.\n{REPORT}" for index in range(20)}
    with RunningSimulator(SimulatorSettings(slots=2, speed=8)) as slow:
        place = make_place(tmp_path / "user", pages, slow.url)
        place.environment["PREANNOTATION_MAX_IN_FLIGHT"] = "2"
        command, environment = place.command("run", DATASET)
        log = place.folder / "log.txt"
        with (
            log.open("w") as output,
            subprocess.Popen(
                command,
                env=environment,
                cwd=place.folder,
                stdout=output,
                stderr=output,
                start_new_session=True,
            ) as process,
        ):
            # Before the first answer, or a slow machine would be done with the batch meanwhile.
            lock = place.folder / "dagster home" / "preannotate" / f"{DATASET}.lock"
            wait_for(lambda: lock.is_file() and lock.read_text("utf-8") != "")
            second = preannotate(place, "run", DATASET)
            answers = place.lake / "argilla" / "work" / DATASET / "answers"
            wait_for(lambda: answers.is_dir() and any(answers.rglob("*.parquet")), "an answer is kept", 180)
            process.send_signal(number)
            status = process.wait(30)
            # The JVM of a killed driver ends by itself.
            with suppress(ProcessLookupError):
                wait_for(lambda: not group_lives(process.pid))
        assert second[0] == 1
        assert (
            second[2]
            == f"preannotate: error: {DATASET} is being materialized by another process: wait for it\n"
        )
        assert not place.parquet.exists()
        if number == signal.SIGTERM:
            assert status == 130
            *_, told, last = log.read_text("utf-8").splitlines()
            assert "raw_model_outputs: ended from outside: " in told
            assert f" of {len(pages)} requests are answered" in told
            assert last == "preannotate: interrupted; the answers so far are kept"
        before, kept = (
            asked(slow),
            sum(pq.read_metadata(file).num_rows for file in answers.rglob("*.parquet")),
        )
        assert 0 < kept < len(pages)
        assert preannotate(place, "run", DATASET)[0] == 0
        assert asked(slow) - before == len(pages) - kept
    assert len(set(pq.read_table(place.parquet)["doc_id"].to_pylist())) == len(pages)
    with DagsterInstance.from_config(place.environment["DAGSTER_HOME"]) as instance:
        statuses = [run.status for run in instance.get_runs()]
    assert statuses == [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE]
    assert MARKER not in log.read_text("utf-8")
    assert leaks(place.folder / "dagster home") == []


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
