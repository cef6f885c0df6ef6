"""What a stored calibration says of given parts: other releases must read the same from it."""

import math

import pytest

from preannotation_assets.extraction.calibrated import ConfidenceParts, LogisticModel, features_of

PARTS = ConfidenceParts(
    label="port",
    confidence=0.8,
    token_probability=0.9,
    lowest_token_probability=0.5,
    similarity=0.75,
    agreement=0.25,
    verdict="valid",
)


def test_the_features_of_parts_that_are_all_known() -> None:
    assert features_of(PARTS) == {
        "confidence": pytest.approx(math.log(4)),
        "repaired": 0.25,
        "label:port": 1.0,
        "token_probability": pytest.approx(math.log(9)),
        "lowest_token_probability": 0.0,
        "asked_twice": 1.0,
        "agreement": 0.25,
        "verdict:valid": 1.0,
    }


def test_what_is_unknown_is_left_out_and_a_sure_thing_is_finite() -> None:
    assert features_of(ConfidenceParts("port", 1.0, None, None, 1.0, None, None)) == {
        "confidence": pytest.approx(math.log(9999)),
        "repaired": 0.0,
        "label:port": 1.0,
        "without_probability": 1.0,
    }


def test_the_weights_of_what_is_there_add_up_to_the_odds() -> None:
    model = LogisticModel(-1.0, {"repaired": 4.0, "asked_twice": 0.5, "agreement": 2.0, "label:owner": 9.0})
    assert model.probability(PARTS) == pytest.approx(1 / (1 + math.exp(-1.0)))
    assert LogisticModel(-1e6, {}).probability(PARTS) == pytest.approx(0.0)
    assert LogisticModel(1e6, {}).probability(PARTS) == 1.0
