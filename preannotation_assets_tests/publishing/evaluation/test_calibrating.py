"""A calibration fitted to the reviewed demo, whose planted confidences say nothing of what is right."""

from pathlib import Path

import pytest
from shared.reviewed_demo import LAYOUT, VERSION, ReviewedDemo, review_demo

from preannotation_assets.evaluation.actions import ADDED, Fate
from preannotation_assets.publishing.calibrations import load_calibration
from preannotation_assets.publishing.evaluation import EvaluationRules, calibrate_datasets
from preannotation_assets.publishing.evaluation.calibrating import CalibrationAccount


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


def test_without_responses_nothing_is_stored_and_why_is_told(demo: ReviewedDemo) -> None:
    found = account(demo)
    assert found.fitted.calibration is None
    assert found.lines()[-1].startswith("no calibration: too little was reviewed: 0 suggestions")
