"""Where everything lives below the root: the one place where keys are made."""

import re
from dataclasses import dataclass
from typing import Final

from preannotation_assets.errors import BatchError

__all__ = [
    "PUBLISHED_FOLDER",
    "DatasetLayout",
    "calibration_key",
    "can_be_dataset",
    "confidence_calibration_key",
    "cure_of_damage",
    "cure_of_loss",
    "part_key",
    "validate_dataset",
]

PUBLISHED_FOLDER: Final = "argilla/in/"
"""Below it, what loaders see, a folder for each dataset."""

_STAGES: Final = ("pages", "chunks", "raw_model_outputs")
# Names in the work area that begin with _ are no dataset's.
_DATASET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,198}")


def validate_dataset(dataset: str) -> str:
    """Returns the name if it can be a partition key and a folder name.

    Raises:
        BatchError: it is empty, too long, has other characters than letters, digits, ``.``, ``_`` and
            ``-``, begins with another than a letter or digit, or contains ``..`` (Dagster's range separator
            is ``...``).
    """
    if not can_be_dataset(dataset):
        raise BatchError(
            f"{dataset[:80]!r} cannot be a dataset name",
            "use letters, digits, single dots, _ and -, at most 199, and begin with a letter or digit",
        )
    return dataset


def can_be_dataset(name: str) -> bool:
    """Whether a dataset can have this name, as ``validate_dataset`` says."""
    return bool(_DATASET.fullmatch(name)) and ".." not in name


def calibration_key(model: str) -> str:
    """The key of what has been learned about a model's tokens."""
    return f"argilla/work/_calibration/{re.sub(r'[^A-Za-z0-9.-]+', '_', model)}.json"


def confidence_calibration_key(content_hash: str) -> str:
    """The key of a calibration of confidences; datasets share them, as one is fitted on others' reviews."""
    return f"argilla/work/_confidence/{content_hash}.json"


def cure_of_damage(key: str) -> str:
    """What to do where the object of a key is not what was written there."""
    match key.split("/"):
        case ["argilla", "work", _, "answers", *_]:
            return "move it out of answers/; the next run asks again what only it has answered"
        case ["argilla", "work", dataset, stage, _, *_] if stage in _STAGES:
            return (
                f"remove argilla/work/{dataset}/{stage}/manifest.json while no run is going on;"
                " the next run makes the stage anew"
            )
        case ["argilla", "out", _, "responses", _]:
            return "export the responses again (docs/argilla-export.md)"
        case ["argilla", "in", _, "suggestions", "suggestions.parquet"]:
            return "materialize suggestions again"
    # Manifests, leases, calibrations, groundings: none holds what a run cannot make again.
    return "remove it while no run is going on; the next one writes it anew"


def cure_of_loss(key: str) -> str:
    """What to do where the object of a key is gone: a stage is made anew only without its manifest."""
    match key.split("/"):
        case ["argilla", "work", _, stage, _, *_] if stage in _STAGES:
            return cure_of_damage(key)
    return "run again"


@dataclass(frozen=True, slots=True)
class DatasetLayout:
    """The keys of one dataset. ``published`` is what the loader sees, all else is working data."""

    dataset: str

    def __post_init__(self) -> None:
        validate_dataset(self.dataset)

    @property
    def published(self) -> str:
        """The folder the loader reads ``*.parquet`` from."""
        return f"{PUBLISHED_FOLDER}{self.dataset}/suggestions"

    @property
    def published_suggestions(self) -> str:
        """The one Parquet object that is published."""
        return f"{self.published}/suggestions.parquet"

    @property
    def published_manifest(self) -> str:
        """Beside it; names that begin with ``_`` are ignored by those who read a folder of Parquet."""
        return f"{self.published}/_manifest.json"

    @property
    def review_order(self) -> str:
        """Which page to review first. Not in the folder of which the loader reads every Parquet."""
        return f"{PUBLISHED_FOLDER}{self.dataset}/review_order.parquet"

    @property
    def work(self) -> str:
        """The folder of the working data."""
        return f"argilla/work/{self.dataset}"

    @property
    def answers(self) -> str:
        """The folder of the answers, as they arrive."""
        return f"{self.work}/answers"

    @property
    def requests(self) -> str:
        """The folder of the table of requests, below it one for each run."""
        return f"{self.work}/requests"

    @property
    def lease(self) -> str:
        """The object that says which run is asking about the dataset."""
        return f"{self.work}/lease.json"

    @property
    def preview(self) -> str:
        """The HTML preview. It shows page text, so it is never below ``published``."""
        return f"{self.work}/preview.html"

    @property
    def preview_parts(self) -> str:
        """How the keys begin of the other files of a preview that is larger than one file."""
        return f"{self.work}/preview-"

    @property
    def responses(self) -> str:
        """The folder of ``*.parquet`` in which others put what experts answered."""
        return f"argilla/out/{self.dataset}/responses"

    @property
    def evaluation(self) -> str:
        """The figures of the last evaluation, as JSON."""
        return f"{self.work}/evaluation/evaluation.json"

    @property
    def decisions(self) -> str:
        """What the last evaluation found that experts did to each suggestion."""
        return f"{self.work}/evaluation/decisions.parquet"

    @property
    def evaluation_report(self) -> str:
        """Experts beside the model, as HTML. It shows page text."""
        return f"{self.work}/evaluation/report.html"

    @property
    def comparison(self) -> str:
        """The figures of the last comparison of settings, as JSON."""
        return f"{self.work}/comparison/comparison.json"

    @property
    def comparison_report(self) -> str:
        """Experts beside what each of the settings suggests, as HTML. It shows page text."""
        return f"{self.work}/comparison/report.html"

    def stage(self, stage: str, version: str) -> str:
        """The folder of one version of a stage's output, e.g. of ``pages`` or ``chunks``."""
        return f"{self.work}/{stage}/{version}"

    def suggestion_rows(self, version: str) -> str:
        """The folder of the rows that a publication is merged of."""
        return f"{self.stage('suggestions', version)}/rows"

    def groundings(self, version: str) -> str:
        """The folder of the quotes that those rows were made of, and of those that became none."""
        return f"{self.stage('suggestions', version)}/groundings"

    def stage_manifest(self, stage: str) -> str:
        """The manifest that says which version of a stage is the current one."""
        return f"{self.work}/{stage}/manifest.json"


def part_key(folder: str, index: int) -> str:
    """The key of one part of a stage's output; parts are numbered from 0."""
    return f"{folder}/part-{index:05d}.parquet"
