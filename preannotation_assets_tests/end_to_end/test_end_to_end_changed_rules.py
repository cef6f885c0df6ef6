"""Another rule for values, or a calibration: judged anew, published anew, and nothing asked again."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from shared.calibrations import halving

from end_to_end.user_place import DATASET, REPORT, Place, asked, make_place
from preannotation_assets.lake import StoreLocation, open_store
from preannotation_assets.publishing.calibrations import store_calibration
from preannotation_assets.settings import Settings
from preannotation_assets.simulator import RunningSimulator

MISPRINTED = REPORT.replace("9666948", "9666949")


def confidences(place: Place) -> dict[tuple[str, str], float]:
    return {
        (row["doc_id"].rpartition("/")[2], row["text"]): row["confidence"]
        for row in pq.read_table(place.parquet).to_pylist()
        if row["label"] == "imo_number"
    }


def groundings(place: Place) -> list[dict[str, object]]:
    """The working data of the numbers, of the present publication only."""
    files = list((place.lake / "argilla" / "work" / DATASET / "suggestions").rglob("groundings/*.parquet"))
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    return [row for row in rows if row["label"] == "imo_number" and row["doc_id"].endswith("misprinted")]


def test_a_changed_rule_is_applied_to_the_answers_there_are(
    tmp_path: Path, simulator: RunningSimulator, preannotate: Callable[..., tuple[int, str, str]]
) -> None:
    place = make_place(tmp_path / "user", {"right": REPORT, "misprinted": MISPRINTED}, simulator.url)
    default = Path(Settings.from_environment({}).labels.path).read_text("utf-8")
    scheme = place.folder / "labels.yaml"
    place.environment["PREANNOTATION_LABELS"] = str(scheme)
    simulator.reset()

    scheme.write_text(default.replace("on_invalid: lower", "lower_factor: 1"), "utf-8")
    assert preannotate(place, "run", DATASET)[0] == 0
    before, everything = confidences(place), asked(simulator)
    assert set(before) == {("right", "9666948"), ("misprinted", "9666949")}
    (as_it_was,) = groundings(place)
    assert as_it_was["value_verdict"] == "invalid"

    scheme.write_text(default, "utf-8")
    assert preannotate(place, "run", DATASET)[0] == 0
    lowered = confidences(place)
    assert lowered["right", "9666948"] == before["right", "9666948"]
    assert lowered["misprinted", "9666949"] == pytest.approx(before["misprinted", "9666949"] / 2)

    scheme.write_text(default.replace("on_invalid: lower", "on_invalid: reject"), "utf-8")
    assert preannotate(place, "run", DATASET)[0] == 0
    assert set(confidences(place)) == {("right", "9666948")}
    assert place.manifest()["quotes_by_outcome"]["invalid_value"] == 1  # type: ignore[index]
    assert {row["outcome"] for row in groundings(place)} >= {"invalid_value"}
    assert asked(simulator) == everything


def test_a_calibration_is_applied_to_the_answers_there_are(
    tmp_path: Path, simulator: RunningSimulator, preannotate: Callable[..., tuple[int, str, str]]
) -> None:
    place = make_place(tmp_path / "user", {"right": REPORT}, simulator.url)
    simulator.reset()
    assert preannotate(place, "run", DATASET)[0] == 0
    before, everything = pq.read_table(place.parquet), asked(simulator)
    plain = place.manifest()

    name = store_calibration(open_store(StoreLocation(str(place.lake))), halving())
    status, _, said = preannotate(place, "run", DATASET, PREANNOTATION_CALIBRATION="f" * 16)
    assert (status, "is not there" in said) == (1, True)
    place.environment["PREANNOTATION_CALIBRATION"] = name
    status, _, said = preannotate(place, "run", DATASET)
    assert status == 0
    assert "fitted on answers of another model or prompt" in said
    after, manifest = pq.read_table(place.parquet), place.manifest()
    assert after["confidence"].to_pylist() == pytest.approx(
        [confidence / 2 for confidence in before["confidence"].to_pylist()]
    )
    assert set(after["model_version"].to_pylist()) == {f"{plain['model_version']}/cal-{name}"}
    changed = ["confidence", "model_version"]
    assert after.drop_columns(changed).equals(before.drop_columns(changed))
    assert (plain["calibration"], manifest["calibration"]) == (None, name)

    order = pq.read_table(place.parquet.parents[1] / "review_order.parquet")
    assert order["rank"].to_pylist() == [1, 2]
    assert order["reason"].to_pylist() == ["corrections_expected", "failed"]

    place.environment["PREANNOTATION_CALIBRATION"] = ""
    assert preannotate(place, "run", DATASET)[0] == 0
    assert pq.read_table(place.parquet).equals(before)
    assert asked(simulator) == everything
