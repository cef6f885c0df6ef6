"""A model that marks nothing: the run succeeds and says so in every place where somebody looks."""

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from dagster import DagsterInstance

from end_to_end.user_place import BLANK, DATASET, REPORT, Place, make_place
from preannotation_assets.simulator import HabitRates, RunningSimulator, SimulatorSettings

PAGES = {f"report {number}": REPORT.replace("14 March", f"{number + 1} March") for number in range(20)}
SILENT = replace(HabitRates.NONE, omit=1.0)
INVENTING = replace(SILENT, invent=1.0)


def warnings_of(place: Place) -> dict[str, list[str]]:
    """What the log of the run that published says at the level of warnings, by asset."""
    found: dict[str, list[str]] = defaultdict(list)
    with DagsterInstance.from_config(place.environment["DAGSTER_HOME"]) as instance:
        for entry in instance.all_logs(str(place.manifest()["run_id"])):
            if entry.level == logging.WARNING and entry.step_key:
                found[entry.step_key].append(entry.user_message)
    return found


@pytest.mark.parametrize(
    ("habits", "answer", "said", "account", "failed_check"),
    [
        (SILENT, "empty", "20 of 20 pages came back empty", "20 answered with nothing", "empty_answers"),
        (
            INVENTING,
            "all_rejected",
            "of 20 of 20 pages the model named something",
            "20 with rejected quotes only",
            "grounded_quotes",
        ),
    ],
)
def test_a_run_without_a_mark_succeeds_with_a_warning(
    tmp_path: Path,
    preannotate: Callable[..., tuple[int, str, str]],
    habits: HabitRates,
    answer: str,
    said: str,
    account: str,
    failed_check: str,
) -> None:
    with RunningSimulator(SimulatorSettings(slots=4, habits=habits)) as simulator:
        place = make_place(tmp_path / "user", PAGES | BLANK, simulator.url)
        status, out, errors = preannotate(place, "run", DATASET)
    assert status == 0
    assert pq.read_table(place.parquet).num_rows == 0
    assert place.manifest()["pages_by_answer"] == {answer: 20, "not_asked": 2}
    (line,) = [line for line in out.splitlines() if line.startswith("warning ")]
    assert said in line
    assert f"0 with spans, 22 without ({account}, 2 blank), 1 failed" in out
    warned = warnings_of(place)
    assert any(said in line for line in warned["suggestions"])
    told = any("20 of 20 answers came back empty" in line for line in warned["raw_model_outputs"])
    assert told is (answer == "empty")
    assert ("check empty_answers failed" in errors) is (answer == "empty")
    assert f"check {failed_check} failed (WARN)" in errors


def test_a_run_with_marks_warns_of_nothing(
    tmp_path: Path, preannotate: Callable[..., tuple[int, str, str]], simulator: RunningSimulator
) -> None:
    place = make_place(tmp_path / "user", PAGES, simulator.url)
    status, out, errors = preannotate(place, "run", DATASET)
    assert status == 0
    assert place.manifest()["pages_by_answer"] == {"marked": 20}
    assert "empty_answers" not in errors
    assert "warning " not in out
    assert not any("empty" in line for lines in warnings_of(place).values() for line in lines)


def test_a_model_that_marks_nothing_any_more_takes_no_row_away_until_that_is_wanted(
    tmp_path: Path, preannotate: Callable[..., tuple[int, str, str]], simulator: RunningSimulator
) -> None:
    place = make_place(tmp_path / "user", {"plain": REPORT, "other": f"{REPORT} 2"}, simulator.url)
    assert preannotate(place, "run", DATASET)[0] == 0
    published, rows = place.parquet.read_bytes(), place.manifest()["rows"]
    with RunningSimulator(SimulatorSettings(slots=4, habits=SILENT)) as silent:
        address = {"OLLAMA_HOST": silent.url}
        status, out, err = preannotate(place, "run", DATASET, "--refresh", **address)
        assert (status, out) == (1, "")
        said = err.splitlines()[-1]
        assert f"nothing is published for {DATASET}, what was published stays" in said
        assert f"of {rows} rows of the publication before 0 are left on 2 pages" in said
        assert place.parquet.read_bytes() == published
        assert preannotate(place, "verify", DATASET)[0] == 0
        status, out, err = preannotate(place, "run", DATASET, PREANNOTATION_MOST_ROWS_LOST="1", **address)
    assert status == 0
    assert f"warning    of {rows} rows of the publication before 0 are left" in out
    assert "check kept_rows failed (WARN)" in err
    assert pq.read_table(place.parquet).num_rows == 0
    assert any("0 are left on 2 pages" in line for line in warnings_of(place)["suggestions"])
