"""What sends a chunk to the large model: never less with a higher threshold, and never an answer unseen."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.calibrations import halving

from preannotation_assets.extraction.argilla_rules import is_agent
from preannotation_assets.extraction.calibrated import Calibration
from preannotation_assets.extraction.cascade import (
    CHOSEN_DOUBTS,
    CascadeRule,
    Doubt,
    SmallAnswer,
    cascade_version,
)
from preannotation_assets.extraction.suggesting import ChunkAnswer, suggest
from preannotation_assets.extraction.values import OnInvalid, ValueRule

TEXT = "The Marie-Louise left Hamburg for Hull."
LABELS = ("vessel_name", "port")
RULES = {"port": ValueRule("H.*", None, OnInvalid.LOWER, 0.5)}
SMALL_ANSWERS = st.builds(
    SmallAnswer,
    st.frozensets(st.sampled_from(sorted(set(Doubt) - {Doubt.BELOW_THRESHOLD}))),
    st.none() | st.floats(0, 1),
)
THRESHOLDS = st.floats(0, 1)
LEFT_OUT = st.frozensets(st.sampled_from(sorted(CHOSEN_DOUBTS)))


def answered(*quotes: tuple[str, str, float | None], again: tuple[tuple[str, str], ...] = ()) -> SmallAnswer:
    """The answer with these labels, quotes and probabilities, and that of a second pass."""
    return judged(quotes, again, None)


def judged(
    quotes: tuple[tuple[str, str, float | None], ...],
    again: tuple[tuple[str, str], ...] = (),
    calibration: Calibration | None = None,
) -> SmallAnswer:
    answer = json.dumps({"spans": [{label: quote} for label, quote, _ in quotes]})
    lengths, scores, end = [], [], 0
    for _, quote, probability in quotes:
        start = answer.index(f'"{quote}"', end) + 1
        lengths += [start - end, len(quote)]
        scores += [-9.0, math.nan if probability is None else math.log(probability)]
        end = start + len(quote)
    first = ChunkAnswer(0, len(TEXT), answer, [*lengths, len(answer) - end], [*scores, -9.0], 0)
    text = json.dumps({"spans": [{label: quote} for label, quote in again]})
    second = [ChunkAnswer(0, len(TEXT), text, None, None, 0)] if again else []
    found = suggest(TEXT, [first], LABELS, overlaps_allowed=False, rules=RULES, second_answers=second)
    return SmallAnswer.of(found, calibration)


def test_the_least_confident_of_what_would_be_published_decides() -> None:
    answer = answered(("vessel_name", "Marie-Louise", 0.9), ("port", "Hull", 0.6))
    assert answer == SmallAnswer(frozenset(), pytest.approx(0.6))
    assert CascadeRule(0.6).doubt(answer) is None
    assert CascadeRule(0.61).doubt(answer) is Doubt.BELOW_THRESHOLD


def test_with_a_calibration_it_is_what_the_confidence_is_worth() -> None:
    quotes = (("port", "Hull", 0.8),)
    assert judged(quotes, calibration=halving()).lowest == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("answer", "doubt"),
    [
        (SmallAnswer.missing(Doubt.NOT_ANSWERED), Doubt.NOT_ANSWERED),
        (SmallAnswer.missing(Doubt.CUT_OFF), Doubt.CUT_OFF),
        (answered(), Doubt.EMPTY),
        (answered(("port", "Rotterdam", 0.9)), Doubt.EMPTY),
        (answered(("port", "Rotterdam", 0.9), ("port", "Hull", 0.9)), Doubt.NOT_GROUNDED),
        (answered(("harbour", "Hull", 0.9), ("port", "Hull", 0.9)), Doubt.NOT_GROUNDED),
        (answered(("port", "left", 0.9)), Doubt.INVALID_VALUE),
        (answered(("port", "Hull", 0.9), again=(("port", "Hamburg"),)), Doubt.DISAGREEMENT),
        (answered(("port", "Hull", None), ("port", "Hamburg", 0.9)), Doubt.UNKNOWN_CONFIDENCE),
        (answered(("port", "Hull", 0.9), again=(("port", "Hull"),)), None),
        (answered(("port", "Hull", 0.9)), None),
    ],
)
def test_each_doubt_is_found_and_told(answer: SmallAnswer, doubt: Doubt | None) -> None:
    assert CascadeRule(0.5).doubt(answer) is doubt


def test_a_doubt_that_is_left_out_does_not_count_and_an_empty_answer_is_then_believed() -> None:
    assert CascadeRule(1.0, frozenset((Doubt.EMPTY,))).doubt(answered()) is None
    ungrounded = answered(("port", "Rotterdam", 0.9), ("port", "Hull", 0.9))
    assert CascadeRule(0.5, CHOSEN_DOUBTS).doubt(ungrounded) is None
    assert CascadeRule(0.95, CHOSEN_DOUBTS).doubt(ungrounded) is Doubt.BELOW_THRESHOLD


@given(SMALL_ANSWERS, THRESHOLDS, THRESHOLDS, LEFT_OUT)
def test_a_higher_threshold_never_asks_the_large_model_less(
    answer: SmallAnswer, one: float, other: float, left_out: frozenset[Doubt]
) -> None:
    low, high = sorted((one, other))
    if CascadeRule(low, left_out).doubt(answer) is not None:
        assert CascadeRule(high, left_out).doubt(answer) is not None


@given(SMALL_ANSWERS, THRESHOLDS, LEFT_OUT, LEFT_OUT)
def test_more_doubts_never_ask_it_less(
    answer: SmallAnswer, threshold: float, one: frozenset[Doubt], other: frozenset[Doubt]
) -> None:
    if CascadeRule(threshold, one | other).doubt(answer) is not None:
        assert CascadeRule(threshold, one).doubt(answer) is not None


@given(SMALL_ANSWERS, THRESHOLDS, LEFT_OUT)
def test_what_is_no_answer_or_of_unknown_confidence_is_always_asked(
    answer: SmallAnswer, threshold: float, left_out: frozenset[Doubt]
) -> None:
    if answer.doubts - CHOSEN_DOUBTS:
        assert CascadeRule(threshold, left_out).doubt(answer) is not None


def test_the_version_names_the_small_model_and_the_threshold_and_changes_with_all_that_decides() -> None:
    large = f"sha256:{'0' * 64}/spans-2-0123456789ab"
    rules = [CascadeRule(0.85), CascadeRule(0.9), CascadeRule(0.85, frozenset((Doubt.EMPTY,)))]
    versions = {cascade_version(large, "org/tiny:1b", "ab", rule, None) for rule in rules}
    versions.add(cascade_version(large, "org/tiny:1b", "ab", rules[0], halving()))
    versions.add(cascade_version(large, "org/tiny:1b", "cd", rules[0], None))
    assert len(versions) == 5
    first = cascade_version(large, "org/tiny:1b", "ab", rules[0], None)
    assert first.startswith(f"{large}/cas-tiny:1b-0.85-")
    assert is_agent(first)
