import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.evaluation.actions import infer_actions
from preannotation_assets.evaluation.pages import SuggestedSpan
from preannotation_assets.evaluation.reliability import Judged, judged, measure_reliability
from preannotation_assets.extraction.segments import Mark

OUTCOMES = st.lists(st.builds(Judged, st.floats(0, 1), st.booleans()), min_size=1)


def outcomes(confidence: float, right: int, wrong: int) -> list[Judged]:
    return [Judged(confidence, True)] * right + [Judged(confidence, False)] * wrong


def test_confidences_that_keep_their_word_have_no_error() -> None:
    kept = outcomes(0.75, 3, 1) + outcomes(0.25, 1, 3)
    assert measure_reliability(kept).expected_calibration_error == 0.0


def test_the_figures_of_a_case_that_is_reckoned_by_hand() -> None:
    found = measure_reliability(outcomes(0.9, 1, 1) + outcomes(0.5, 1, 0) + outcomes(0.1, 0, 1), unknown=2)
    assert (found.known, found.unknown) == (4, 2)
    assert found.expected_calibration_error == pytest.approx((2 * 0.4 + 1 * 0.5 + 1 * 0.1) / 4)
    assert found.brier == pytest.approx((0.01 + 0.81 + 0.25 + 0.01) / 4)
    assert [(point.confidence, point.coverage, point.risk) for point in found.risk] == [
        (0.9, 0.5, 0.5),
        (0.5, 0.75, pytest.approx(1 / 3)),
        (0.1, 1.0, 0.5),
    ]
    assert found.area_under_risk == pytest.approx(0.5 * 0.5 + 0.25 / 3 + 0.25 * 0.5)
    filled = {round(each.low, 1): (each.count, each.accuracy) for each in found.bins if each.count}
    assert filled == {0.1: (1, 0.0), 0.5: (1, 1.0), 0.9: (2, 0.5)}


@given(OUTCOMES)
def test_every_confidence_is_in_one_bin_and_the_last_point_covers_all(given_outcomes: list[Judged]) -> None:
    found = measure_reliability(given_outcomes)
    assert sum(each.count for each in found.bins) == len(given_outcomes)
    for each in found.bins:
        assert each.mean_confidence is None or each.low - 1e-9 <= each.mean_confidence <= each.high + 1e-9
    assert found.risk[-1].coverage == 1.0
    assert found.risk[-1].risk == sum(not each.right for each in given_outcomes) / len(given_outcomes)


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_the_area_is_the_mean_risk_of_all_coverages_where_confidences_differ(rights: list[bool]) -> None:
    given_outcomes = [Judged(1 - place / 100, right) for place, right in enumerate(rights)]
    risks = [rights[: place + 1].count(False) / (place + 1) for place in range(len(rights))]
    assert measure_reliability(given_outcomes).area_under_risk == pytest.approx(sum(risks) / len(risks))


@given(st.integers(1, 1000))
def test_the_curve_has_a_bounded_number_of_points_and_ends_with_all(count: int) -> None:
    found = measure_reliability([Judged(place / count, place % 3 > 0) for place in range(count)])
    assert min(count, 100) <= len(found.risk) <= 200
    coverages = [point.coverage for point in found.risk]
    assert coverages == sorted(coverages)
    assert coverages[-1] == 1.0


def test_of_no_known_confidence_nothing_is_known() -> None:
    found = measure_reliability([], unknown=3)
    assert (found.known, found.unknown, found.brier, found.area_under_risk) == (0, 3, None, None)
    assert {(each.count, each.accuracy) for each in found.bins} == {(0, None)}


def test_right_is_what_was_kept_as_it_stood() -> None:
    gold = [Mark(0, 4, "port"), Mark(10, 14, "port")]
    given_spans = [
        SuggestedSpan(0, 4, "port", 0.9), SuggestedSpan(10, 13, "port", 0.8),
        SuggestedSpan(20, 24, "port", 0.7), SuggestedSpan(30, 34, "port", None),
    ]  # fmt: skip
    found = judged(infer_actions(gold, given_spans).decisions)
    assert found == [Judged(0.9, True), Judged(0.8, False), Judged(0.7, False)]
