"""Calibrations as documents: stored once under the hash of what they say, read, and held against it."""

import json
from dataclasses import asdict
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from preannotation_assets.errors import DamagedObjectError, SettingsError
from preannotation_assets.extraction.calibrated import Calibration, IsotonicMap, LogisticModel
from preannotation_assets.extraction.cascade import CASCADE_SUFFIX
from preannotation_assets.lake import ObjectStore, read_json
from preannotation_assets.lake.layout import confidence_calibration_key
from preannotation_assets.temporary_folders import temporary_file

__all__ = [
    "CALIBRATED_CHARACTERS",
    "calibrated_version",
    "calibration_doubt",
    "load_calibration",
    "store_calibration",
    "version_of_answers",
    "version_of_model",
]

# Short: Argilla takes 200 characters for model and version together.
_SUFFIX: Final = "/cal-"
CALIBRATED_CHARACTERS: Final = len(_SUFFIX) + 16
"""What the name of a calibration adds to a model version."""


def calibrated_version(model_version: str, calibration: Calibration | None) -> str:
    """The model version of rows whose confidences are calibrated so."""
    return model_version if calibration is None else f"{model_version}{_SUFFIX}{calibration.content_hash}"


def version_of_answers(model_version: str) -> str:
    """The model version without a calibration; of a cascade that of its large model."""
    return model_version.partition(_SUFFIX)[0].partition(CASCADE_SUFFIX)[0]


def version_of_model(digest: str, prompt_version: str) -> str:
    """The model version of a cascade's small model, as if it had been asked alone."""
    return f"sha256:{digest}/{prompt_version}"


def calibration_doubt(calibration: Calibration | None, model_version: str) -> str | None:
    """A line where a calibration was fitted on answers of other models or prompts only."""
    if calibration is None or model_version in calibration.model_versions:
        return None
    return (
        f"the calibration {calibration.content_hash} was fitted on answers of another model or prompt; what"
        " it says of these is a guess until preannotate calibrate has been run on reviewed pages of them"
    )


def store_calibration(store: ObjectStore, calibration: Calibration) -> str:
    """Writes a calibration under its name, which it returns; what is there already stays as it is.

    Raises:
        ConflictError: somebody else wrote another object there at the same moment.
        StorageError: the lake cannot be written.
    """
    key = confidence_calibration_key(calibration.content_hash)
    if store.stat(key) is None:
        text = json.dumps(asdict(calibration), sort_keys=True, indent=2)
        with temporary_file("calibration.json") as path:
            path.write_text(f"{text}\n", "utf-8")
            store.upload_if(key, path, None)
    return calibration.content_hash


def load_calibration(
    store: ObjectStore, place: str, *, is_name: bool, variable: str = "PREANNOTATION_CALIBRATION"
) -> Calibration | None:
    """A calibration from the lake by its name, or from a file; None where the place is empty.

    ``variable`` is the setting that names it.

    Raises:
        SettingsError: there is no such calibration.
        DamagedObjectError: it is none, or another one than its name says.
        StorageError: the lake cannot be read.
    """
    if not place:
        return None
    return _from_lake(store, place, variable) if is_name else _from_file(Path(place), variable)


def _from_lake(store: ObjectStore, name: str, variable: str) -> Calibration:
    key = confidence_calibration_key(name)
    document = read_json(store, key)
    if document is None:
        raise SettingsError(
            f"{variable} names {name}, and {store.uri(key)} is not there",
            "give the name that preannotate calibrate told, in the same lake, or a file",
        )
    found = _parsed(document)
    if found is None or found.content_hash != name:
        raise DamagedObjectError(
            f"{store.uri(key)} is not the calibration of that name",
            "remove it; preannotate calibrate writes it again where the same pages are reviewed",
        )
    return found


def _from_file(path: Path, variable: str) -> Calibration:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        document = None
    found = _parsed(document)
    if found is None:
        raise SettingsError(
            f"{variable} is {str(path)!r}, which is no calibration",
            "give the name that preannotate calibrate told, or a copy of what it wrote",
        )
    return found


@cache
def _document() -> TypeAdapter[Calibration]:
    return TypeAdapter(Calibration)


def _parsed(document: object) -> Calibration | None:
    try:
        found = _document().validate_python(document, strict=False)
    except ValidationError:
        return None
    is_one = (found.isotonic is None) != (found.logistic is None)
    return found if is_one and _is_map(found.isotonic) and _is_finite(found.logistic) else None


def _is_map(isotonic: IsotonicMap | None) -> bool:
    if isotonic is None:
        return True
    confidences, probabilities = isotonic.confidences, isotonic.probabilities
    return (
        0 < len(confidences) == len(probabilities)
        and all(low < high for low, high in pairwise(confidences))
        and all(low <= high for low, high in pairwise(probabilities))
        and probabilities[0] >= 0
        and probabilities[-1] <= 1
    )


def _is_finite(logistic: LogisticModel | None) -> bool:
    if logistic is None:
        return True
    return all(abs(number) < float("inf") for number in (logistic.intercept, *logistic.weights.values()))
