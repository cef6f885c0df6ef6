"""A cascade from the command line: what is published names both models, and goes as it came."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from shared.calibrations import halving
from shared.page_requests import page_requests

from end_to_end.user_place import DATASET, REPORT, Place, asked, make_place, warehouse_texts
from preannotation_assets.simulator import (
    Ability,
    HabitRates,
    RunningSimulator,
    SimulatedModel,
    SimulatorSettings,
)

LARGE, SMALL = "llama3.3:70b", "tiny:1b"
PAGES = {f"report {number}": REPORT.replace("14 March", f"{number + 1} March") for number in range(10)}
UNSURE = Ability(HabitRates.NONE, HabitRates.NONE, hard_pages=0, seed=3, information=0.5)
CASCADE = {"PREANNOTATION_CASCADE_MODEL": SMALL, "PREANNOTATION_CASCADE_THRESHOLD": "0.6"}
OFF = {
    f"PREANNOTATION_CASCADE_{name}": ""
    for name in ("MODEL", "THRESHOLD", "CALIBRATION", "DOUBTS", "URLS", "REVISION")
}


@pytest.fixture
def two_models() -> Iterator[RunningSimulator]:
    models = SimulatedModel(LARGE), SimulatedModel(SMALL, ability=UNSURE)
    with RunningSimulator(SimulatorSettings(models=models, slots=4, habits=HabitRates.NONE)) as running:
        yield running


def rows_of(place: Place) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(place.parquet).to_pylist()
    return rows


def groundings(place: Place) -> list[dict[str, Any]]:
    """Those of the last publication, which are told by the time they were written."""
    folders = (place.lake / "argilla" / "work" / DATASET / "suggestions").glob("*/groundings")
    last = max(folders, key=lambda folder: folder.stat().st_mtime_ns)
    return [row for file in last.glob("*.parquet") for row in pq.read_table(file).to_pylist()]


def test_what_a_cascade_publishes_names_both_models_and_without_it_all_is_as_before(
    tmp_path: Path, two_models: RunningSimulator, preannotate: Callable[..., tuple[int, str, str]]
) -> None:
    place = make_place(tmp_path / "user", PAGES, two_models.url)
    assert preannotate(place, "run", DATASET)[0] == 0
    before, manifest_before = rows_of(place), place.manifest()
    assert {record.model for record in page_requests(two_models)} == {LARGE}

    status, said, _ = preannotate(place, "run", DATASET, **CASCADE)
    assert status == 0
    assert asked(two_models) == 2 * len(PAGES)
    rows, manifest = rows_of(place), place.manifest()
    account: Any = manifest["cascade"]
    chunks: Any = account["chunks_by_model"]
    assert sum(chunks.values()) == len(PAGES)
    assert 0 < chunks[SMALL] < len(PAGES)
    assert f"cascade    {chunks[SMALL]} chunks kept of {SMALL}, {chunks[LARGE]} asked of {LARGE}" in said
    assert f"cascade    {chunks[SMALL]} chunks kept" in preannotate(place, "status", DATASET)[1]
    # Nothing that is wrong is suggested by either, so the same places are marked.
    assert [row["span_id"] for row in rows] == [row["span_id"] for row in before]
    texts = warehouse_texts(place.database)
    assert all(texts[row["doc_id"]][row["start"] : row["end"]] == row["text"] for row in rows)
    assert preannotate(place, "verify", DATASET)[0] == 0
    version = str(manifest["model_version"])
    assert version.startswith(f"{manifest_before['model_version']}/cas-{SMALL}-0.6-")
    assert {(row["model"], row["model_version"]) for row in rows} == {(LARGE, version)}
    kept = [row for row in groundings(place) if row["outcome"] == "kept"]
    by_model: Any = manifest["rows_by_model"]
    assert by_model == {model: sum(row["model"] == model for row in kept) for model in (LARGE, SMALL)}
    assert sum(by_model.values()) == len(rows)

    # The small model's calibration decides by what its confidences are worth, and is for its rows alone.
    calibration = place.folder / "small.json"
    calibration.write_text(json.dumps(asdict(halving())), "utf-8")
    halved = {**CASCADE, "PREANNOTATION_CASCADE_CALIBRATION": str(calibration)}
    halved["PREANNOTATION_CASCADE_THRESHOLD"] = "0.3"
    status, _, log = preannotate(place, "run", DATASET, **halved)
    assert status == 0
    assert "was fitted on answers of another model or prompt" in log
    assert asked(two_models) == 2 * len(PAGES)
    again: Any = place.manifest()["cascade"]
    assert again["chunks_by_model"] == chunks
    assert again["calibration"] == halving().content_hash
    raw = {
        (row["doc_id"], row["start"], row["label"]): row["confidence"] * (0.5 if row["model"] == SMALL else 1)
        for row in groundings(place)
        if row["outcome"] == "kept"
    }
    found = {(row["doc_id"], row["start"], row["label"]): row["confidence"] for row in rows_of(place)}
    assert found == pytest.approx(raw)

    assert preannotate(place, "run", DATASET, **OFF)[0] == 0
    assert asked(two_models) == 2 * len(PAGES)
    assert rows_of(place) == before
    after = place.manifest()
    assert {name: after[name] for name in ("model_version", "cascade", "rows_by_model")} == {
        name: manifest_before[name] for name in ("model_version", "cascade", "rows_by_model")
    }


def test_a_cascade_that_makes_no_sense_is_told_in_a_line_before_the_run(
    tmp_path: Path, two_models: RunningSimulator, preannotate: Callable[..., tuple[int, str, str]]
) -> None:
    place = make_place(tmp_path / "user", PAGES, two_models.url)
    for environment, said in (
        ({"PREANNOTATION_CASCADE_MODEL": SMALL}, "has no threshold"),
        ({**CASCADE, "PREANNOTATION_CASCADE_MODEL": LARGE}, "and so is the one to ask after it"),
        ({**CASCADE, "PREANNOTATION_CASCADE_MODEL": "nowhere:1b"}, "nowhere:1b"),
        ({"PREANNOTATION_CASCADE_THRESHOLD": "0.5"}, "there is no small model to ask first"),
        ({**CASCADE, "PREANNOTATION_CASCADE_DOUBTS": "all"}, "set it to none, or some of empty,"),
        ({**CASCADE, "PREANNOTATION_CASCADE_URLS": "ftp://x"}, "PREANNOTATION_CASCADE_URLS"),
        ({**CASCADE, "PREANNOTATION_CASCADE_REVISION": "1"}, "Ollama tells the digest"),
    ):
        status, _, log = preannotate(place, "run", DATASET, **{**OFF, **environment})
        assert status != 0
        assert said in log, environment
        assert log.strip().count("\n") == 0
    assert asked(two_models) == 0
