from dataclasses import replace
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shared.decided_parts import parts_of, planted, true_share

from preannotation_assets.evaluation.actions import ActionCosts, Fate
from preannotation_assets.evaluation.calibration import (
    FEWEST_DOCUMENTS,
    FEWEST_SUGGESTIONS,
    MOST_ERROR,
    DecidedParts,
    fit_calibration,
    fit_isotonic,
    fit_logistic,
)
from preannotation_assets.evaluation.reliability import Judged, measure_reliability
from preannotation_assets.extraction.calibrated import CalibrationMethod

COSTS = ActionCosts()
VERSIONS = ("sha256:ab/spans-2",)

_PARTS = st.builds(
    parts_of,
    st.floats(0, 1),
    st.sampled_from(["port", "owner"]),
    token_probability=st.none() | st.floats(0, 1),
    similarity=st.floats(0.5, 1),
    agreement=st.none() | st.floats(0, 1),
    verdict=st.sampled_from([None, "valid", "invalid"]),
)
DECIDED = st.lists(
    st.builds(DecidedParts, st.sampled_from(["d/1", "d/2"]), _PARTS, st.sampled_from(list(Fate))),
    min_size=2,
    max_size=40,
)


def decided_by_label(label: str, fate_below: Fate, count: int = 600) -> list[DecidedParts]:
    """Right above a half, and below it what the experts always do."""
    random = Random(7)
    found = []
    for number in range(count):
        confidence = random.random()
        is_right = confidence > 0.5 or random.random() < 0.05
        fate = Fate.KEPT if is_right else fate_below
        found.append(DecidedParts(f"d/{number % 20}", parts_of(confidence, label), fate))
    return found


@given(DECIDED, st.lists(st.floats(0, 1), min_size=2))
def test_the_isotonic_map_never_falls_and_is_a_probability(
    decided: list[DecidedParts], confidences: list[float]
) -> None:
    isotonic = fit_isotonic(decided)
    assert list(isotonic.confidences) == sorted(set(isotonic.confidences))
    found = [isotonic.probability(confidence) for confidence in sorted(confidences)]
    assert found == sorted(found)
    assert all(0 <= probability <= 1 for probability in found)


@settings(max_examples=30)
@given(DECIDED, _PARTS)
def test_the_logistic_model_gives_a_probability_of_anything(
    decided: list[DecidedParts], parts: object
) -> None:
    assume(len({each.is_right for each in decided}) == 2)
    assert 0 <= fit_logistic(decided).probability(parts) <= 1  # type: ignore[arg-type]


def test_the_isotonic_map_of_a_case_that_is_reckoned_by_hand() -> None:
    outcomes = [(0.1, False), (0.2, True), (0.3, False), (0.3, False), (0.6, True), (0.8, True)]
    decided = [
        DecidedParts("d", parts_of(confidence), Fate.KEPT if right else Fate.DELETED)
        for confidence, right in outcomes
    ]
    isotonic = fit_isotonic(decided)
    assert isotonic.confidences == (0.1, 0.2, 0.3, 0.6, 0.8)
    assert isotonic.probabilities == (0.0, pytest.approx(1 / 3), pytest.approx(1 / 3), 1.0, 1.0)
    assert isotonic.probability(0.45) == pytest.approx(2 / 3)
    assert (isotonic.probability(0.0), isotonic.probability(1.0)) == (0.0, 1.0)


def test_planted_miscalibration_is_recovered_on_documents_that_were_held_out() -> None:
    fitted = fit_calibration(planted(3000, 60), COSTS, VERSIONS)
    assert fitted.before is not None
    assert fitted.before.expected_calibration_error > 0.15
    assert fitted.calibration is not None
    method = fitted.calibration.method
    assert fitted.held_out[method].expected_calibration_error <= MOST_ERROR
    assert fitted.held_out[method].brier == min(found.brier for found in fitted.held_out.values())
    assert fitted.held_out[method].brier < fitted.before.brier
    others = planted(3000, 60, seed=2)
    outcomes = [Judged(fitted.calibration.probability(each.parts), each.is_right) for each in others]
    assert (measure_reliability(outcomes).expected_calibration_error or 1) <= MOST_ERROR
    for confidence in (0.4, 0.6, 0.8, 0.95):
        worth = fitted.calibration.probability(parts_of(confidence))
        assert worth == pytest.approx(true_share(confidence), abs=0.07)


def test_the_method_with_the_lower_brier_score_is_taken() -> None:
    """What only agreement tells, a map of the confidence cannot know."""
    random = Random(3)
    decided = []
    for number in range(1500):
        agreed = random.random()
        fate = Fate.KEPT if random.random() < agreed else Fate.DELETED
        decided.append(DecidedParts(f"d/{number % 30}", parts_of(0.9, agreement=agreed), fate))
    fitted = fit_calibration(decided, COSTS, VERSIONS)
    assert fitted.calibration is not None
    assert fitted.calibration.method is CalibrationMethod.LOGISTIC
    sure, unsure = parts_of(0.9, agreement=1.0), parts_of(0.9, agreement=0.0)
    assert fitted.calibration.probability(sure) > 0.7
    assert fitted.calibration.probability(unsure) < 0.3


def test_order_decides_nothing_and_the_same_has_the_same_name() -> None:
    decided = planted(900, 15)
    first = fit_calibration(decided, COSTS, VERSIONS)
    other = fit_calibration(Random(5).sample(decided, len(decided)), COSTS, VERSIONS)
    assert first == other
    assert first.calibration is not None
    assert other.calibration is not None
    assert first.calibration.content_hash == other.calibration.content_hash
    changed = fit_calibration(decided[1:], COSTS, VERSIONS).calibration
    assert changed is not None
    assert changed.content_hash != first.calibration.content_hash


def test_no_document_is_judged_by_a_fit_that_has_seen_it() -> None:
    """Each document repeats one confidence and one outcome: who has seen it knows, and nobody else can."""
    random = Random(11)
    decided = []
    for number in range(100):
        confidence, fate = random.random(), random.choice([Fate.KEPT, Fate.DELETED])
        decided += [DecidedParts(f"d/{number}", parts_of(confidence), fate)] * 10
    fitted = fit_calibration(decided, COSTS, VERSIONS)
    assert min(found.brier for found in fitted.held_out.values()) > 0.2
    assert fitted.calibration is None or fitted.calibration.method is not CalibrationMethod.ISOTONIC


@pytest.mark.parametrize(
    "decided",
    [
        [],
        planted(FEWEST_SUGGESTIONS - 1, 30),
        planted(2000, FEWEST_DOCUMENTS - 1),
        [replace(each, fate=Fate.KEPT) for each in planted(2000, 30)],
    ],
    ids=["nothing", "few suggestions", "few documents", "nothing wrong"],
)
def test_of_too_little_nothing_is_said(decided: list[DecidedParts]) -> None:
    fitted = fit_calibration(decided, COSTS, VERSIONS)
    assert (fitted.calibration, fitted.before, dict(fitted.held_out)) == (None, None, {})
    assert fitted.problem is not None
    assert fitted.problem.startswith("too little was reviewed")


def test_where_all_wrong_ones_are_of_one_document_nothing_is_fitted() -> None:
    decided = [
        replace(each, fate=Fate.DELETED if each.doc_id == "d/0" else Fate.KEPT) for each in planted(2000, 20)
    ]
    fitted = fit_calibration(decided, COSTS, VERSIONS)
    assert (fitted.calibration, fitted.before) == (None, None)
    # Their number is not what is missing.
    assert "both are needed in several" in (fitted.problem or "")


def test_confidences_that_keep_their_word_are_left_as_they_are() -> None:
    random = Random(4)
    decided = []
    for number in range(2000):
        confidence = round(random.random())
        decided.append(
            DecidedParts(f"d/{number % 30}", parts_of(confidence), Fate.KEPT if confidence else Fate.DELETED)
        )
    fitted = fit_calibration(decided, COSTS, VERSIONS)
    assert fitted.calibration is None
    assert fitted.problem is not None
    assert "no calibration is better" in fitted.problem


def test_a_fit_that_is_better_and_still_far_off_is_turned_down() -> None:
    fitted = fit_calibration(planted(FEWEST_SUGGESTIONS, 15, seed=3), COSTS, VERSIONS)
    assert fitted.before is not None
    best = min(fitted.held_out.values(), key=lambda found: found.brier)
    assert best.brier < fitted.before.brier
    assert best.expected_calibration_error > MOST_ERROR
    assert fitted.calibration is None
    assert "is off by 0.073 on average" in (fitted.problem or "")


def test_the_other_method_is_taken_where_it_alone_is_near_enough() -> None:
    fitted = fit_calibration(planted(400, 15, seed=13), COSTS, VERSIONS)
    isotonic, logistic = (fitted.held_out[method] for method in CalibrationMethod)
    assert logistic.brier < isotonic.brier
    assert isotonic.expected_calibration_error <= MOST_ERROR < logistic.expected_calibration_error
    assert fitted.calibration is not None
    assert fitted.calibration.method is CalibrationMethod.ISOTONIC
    assert fitted.calibration.fit.brier == pytest.approx(isotonic.brier)


def test_a_threshold_is_where_a_label_begins_to_save_actions() -> None:
    deleted = decided_by_label("port", Fate.DELETED)
    moved = decided_by_label("owner", Fate.BORDER_MOVED)
    few = decided_by_label("flag", Fate.DELETED, 40)
    fitted = fit_calibration([*deleted, *moved, *few], COSTS, VERSIONS)
    # To move a border costs what it costs to mark the span, so nothing is lost by it; of few nothing is said.
    (threshold,) = fitted.thresholds
    assert threshold.label == "port"
    wrong = sum(each.fate is Fate.DELETED for each in deleted)
    assert threshold.held_back == pytest.approx(wrong, rel=0.15)
    assert threshold.saved <= wrong
    assert fitted.calibration is not None
    assert fitted.calibration.thresholds == {"port": threshold.threshold}
    redrawn = sum(each.fate is Fate.BORDER_MOVED for each in moved)
    deletions = sum(each.fate is Fate.DELETED for each in (*deleted, *few))
    spent = 2 * redrawn + 1 * deletions
    assert fitted.calibration.correction_actions == pytest.approx(spent / (redrawn + deletions))
    low, high = (fitted.calibration.probability(parts_of(confidence)) for confidence in (0.2, 0.9))
    assert fitted.calibration.is_held_back("port", low)
    assert not fitted.calibration.is_held_back("port", high)
    assert not fitted.calibration.is_held_back("owner", 0.0)
    assert not fitted.calibration.is_held_back("port", None)


def test_a_threshold_follows_what_actions_cost() -> None:
    cheap = fit_calibration(decided_by_label("port", Fate.DELETED), ActionCosts(delete=0.0), VERSIONS)
    assert cheap.thresholds == ()


def test_both_fits_are_those_of_scikit_learn() -> None:
    """What version 1.9.1 says of the same decisions (IsotonicRegression; LogisticRegression, C=1, scaled)."""
    decided = [
        replace(each, parts=replace(each.parts, similarity=0.8 + number % 3 / 10, agreement=number % 5 / 4))
        for number, each in enumerate(planted(600, 20))
    ]
    isotonic, logistic = fit_isotonic(decided), fit_logistic(decided)
    assert [isotonic.probability(confidence) for confidence in (0.35, 0.5, 0.65, 0.8, 0.95)] == pytest.approx(
        [0.066038, 0.144068, 0.25, 0.383333, 0.880119], abs=1e-6
    )
    assert [logistic.probability(each.parts) for each in decided[:8]] == pytest.approx(
        [0.059636, 0.547192, 0.316287, 0.343794, 0.078765, 0.727415, 0.47159, 0.221659], abs=1e-6
    )
