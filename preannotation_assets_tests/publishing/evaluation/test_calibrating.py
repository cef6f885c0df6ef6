"""A calibration fitted to the reviewed demo, whose planted confidences say nothing of what is right."""

from pathlib import Path

import pyarrow as pa
import pytest
from shared.calibrations import halving
from shared.reviewed_demo import LAYOUT, VERSION, ReviewedDemo, review_demo

from preannotation_assets.contracts import GROUNDINGS
from preannotation_assets.errors import BatchError
from preannotation_assets.evaluation.actions import ADDED, Fate
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.lake import read_json, write_json, write_table
from preannotation_assets.lake.layout import part_key
from preannotation_assets.publishing.calibrations import calibrated_version, load_calibration
from preannotation_assets.publishing.evaluation import EvaluationRules, calibrate_datasets, evaluate_dataset
from preannotation_assets.publishing.evaluation.calibrating import CalibrationAccount
from preannotation_assets.settings import Settings


@pytest.fixture
def demo(tmp_path: Path) -> ReviewedDemo:
    return review_demo(tmp_path)


def account(demo: ReviewedDemo) -> CalibrationAccount:
    return calibrate_datasets(demo.store, [LAYOUT.dataset, LAYOUT.dataset], lambda _: None, EvaluationRules())


def test_what_was_decided_is_what_the_calibration_says(demo: ReviewedDemo) -> None:
    demo.write_responses()
    found = account(demo)
    suggested = sum(demo.actions.values()) - demo.actions[ADDED]
    assert (found.fitted.suggestions, found.fitted.right) == (suggested, demo.actions[Fate.KEPT])
    assert found.datasets == (LAYOUT.dataset,)
    calibration = found.fitted.calibration
    assert calibration is not None, found.lines()
    assert calibration.model_versions == (VERSION,)
    stored = load_calibration(demo.store, calibration.content_hash, is_name=True)
    assert stored == calibration
    assert found.lines()[-1].startswith(f"stored     PREANNOTATION_CALIBRATION={calibration.content_hash} ")


def test_it_is_fitted_to_the_confidences_of_what_was_kept_as_they_were_before_any_calibration(
    demo: ReviewedDemo,
) -> None:
    demo.write_responses()
    published = read_json(demo.store, LAYOUT.published_manifest)
    assert isinstance(published, dict)
    version = calibrated_version(VERSION, halving())
    write_json(demo.store, LAYOUT.published_manifest, published | {"model_version": version})
    found = account(demo)
    evaluated = evaluate_dataset(
        demo.store, LAYOUT.dataset, lambda: None, load_label_scheme(Settings().labels.path), EvaluationRules()
    )
    assert found.fitted.calibration is not None
    assert found.fitted.calibration.model_versions == (VERSION,)
    assert found.fitted.before is not None
    assert found.fitted.before.brier == pytest.approx(evaluated.scores.reliability.brier)
    # Quotes that were dropped have no confidence, and were no suggestions.
    assert found.unknown == 0


def test_suggestions_without_a_confidence_are_counted_apart(tmp_path: Path) -> None:
    demo = review_demo(tmp_path)
    demo.write_responses()
    known = account(demo)
    quote = next(row for row in demo.quotes if row["outcome"] == "kept")
    quote["confidence"] = None
    key = part_key(f"{LAYOUT.stage('suggestions', 'i')}/groundings", 0)
    write_table(demo.store, key, pa.Table.from_pylist(demo.quotes, schema=GROUNDINGS))
    found = account(demo)
    assert (found.unknown, found.fitted.suggestions) == (1, known.fitted.suggestions - 1)
    assert "; 1 more without a confidence" in found.lines()[1]


def test_without_responses_nothing_is_stored_and_why_is_told(demo: ReviewedDemo) -> None:
    found = account(demo)
    assert found.fitted.calibration is None
    assert found.lines()[-1].startswith("no calibration: too little was reviewed: 0 suggestions")


def test_a_model_that_was_not_asked_is_told_and_who_was(demo: ReviewedDemo) -> None:
    demo.write_responses()
    with pytest.raises(BatchError, match=r"llama3\.2:3b was asked about nothing .*: name one of: "):
        calibrate_datasets(demo.store, [LAYOUT.dataset], lambda _: None, EvaluationRules(), "llama3.2:3b")
