"""Calibrations in the lake: written once, read as they are, refused where they are not what their name is."""

import json
from pathlib import Path

import pytest
from shared.calibrations import halving

from preannotation_assets.errors import DamagedObjectError, SettingsError
from preannotation_assets.extraction.calibrated import Calibration, LogisticModel
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store
from preannotation_assets.lake.layout import confidence_calibration_key
from preannotation_assets.publishing.calibrations import (
    calibrated_version,
    calibration_doubt,
    load_calibration,
    store_calibration,
    version_of_answers,
)

LOGISTIC = Calibration(
    None,
    LogisticModel(-0.5, {"confidence": 1.25, "label:port": 0.1}),
    {"port": 0.3},
    1.5,
    ("v", "w"),
    halving().fit,
)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(StoreLocation(str(tmp_path / "lake")))


def file_of(tmp_path: Path, calibration: Calibration) -> Path:
    return tmp_path / "lake" / confidence_calibration_key(calibration.content_hash)


@pytest.mark.parametrize("calibration", [halving(), LOGISTIC], ids=["isotonic", "logistic"])
def test_what_is_stored_is_read_as_it_was(
    store: ObjectStore, tmp_path: Path, calibration: Calibration
) -> None:
    name = store_calibration(store, calibration)
    assert load_calibration(store, name, is_name=True) == calibration
    copy = tmp_path / "copy.json"
    copy.write_bytes(file_of(tmp_path, calibration).read_bytes())
    assert load_calibration(store, str(copy), is_name=False) == calibration


def test_it_is_written_once(store: ObjectStore, tmp_path: Path) -> None:
    store_calibration(store, halving())
    before = file_of(tmp_path, halving()).stat()
    store_calibration(store, halving())
    after = file_of(tmp_path, halving()).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_one_that_says_another_thing_than_its_name_is_refused(store: ObjectStore, tmp_path: Path) -> None:
    name = store_calibration(store, halving())
    place = file_of(tmp_path, halving())
    place.write_text(place.read_text("utf-8").replace("0.5", "0.6"), "utf-8")
    with pytest.raises(DamagedObjectError, match="not the calibration of that name"):
        load_calibration(store, name, is_name=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"isotonic": None},
        {"logistic": {"intercept": 0.0, "weights": {}}},
        {"isotonic": {"confidences": [0.5, 0.1], "probabilities": [0.0, 1.0]}},
        {"isotonic": {"confidences": [0.1, 0.5], "probabilities": [0.9, 0.1]}},
        {"isotonic": {"confidences": [0.1], "probabilities": [1.5]}},
        {"isotonic": {"confidences": [], "probabilities": []}},
        {"isotonic": None, "logistic": {"intercept": float("nan"), "weights": {}}},
    ],
)
def test_a_file_that_is_no_calibration_is_refused_in_one_line(
    store: ObjectStore, tmp_path: Path, changes: dict[str, object]
) -> None:
    store_calibration(store, halving())
    document = json.loads(file_of(tmp_path, halving()).read_text("utf-8"))
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(document | changes), "utf-8")
    with pytest.raises(SettingsError, match="which is no calibration") as raised:
        load_calibration(store, str(broken), is_name=False)
    assert "\n" not in str(raised.value)


def test_what_is_not_there_is_told(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not there"):
        load_calibration(store, "0123456789abcdef", is_name=True)
    with pytest.raises(SettingsError, match="which is no calibration"):
        load_calibration(store, str(tmp_path / "nothing.json"), is_name=False)
    assert load_calibration(store, "", is_name=False) is None


def test_a_version_tells_the_calibration_and_is_told_apart_from_it() -> None:
    version = f"sha256:{'ab' * 32}/spans-2-a631acb47116"
    assert calibrated_version(version, None) == version
    calibrated = calibrated_version(version, halving())
    assert calibrated.startswith(version)
    assert halving().content_hash in calibrated
    assert version_of_answers(calibrated) == version_of_answers(version) == version


def test_answers_that_it_was_not_fitted_on_are_told() -> None:
    assert calibration_doubt(None, "v") is None
    assert calibration_doubt(halving(), "v") is None
    assert "another model or prompt" in (calibration_doubt(halving(), "w") or "")
