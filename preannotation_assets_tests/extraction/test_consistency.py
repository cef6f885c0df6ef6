from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.extraction.consistency import (
    MarkedSpan,
    adjusted_confidence,
    agreement,
    wants_second_pass,
)

spans = st.builds(
    lambda label, start, length: MarkedSpan(label, start, start + length),
    st.sampled_from(["port", "flag"]),
    st.integers(0, 20),
    st.integers(1, 8),
)
shares = st.floats(0, 1)


def test_agreement_is_of_place_and_label() -> None:
    second = [MarkedSpan("port", 0, 10), MarkedSpan("port", 25, 35), MarkedSpan("flag", 69, 71)]
    assert agreement(MarkedSpan("port", 0, 10), second) == 1.0
    assert agreement(MarkedSpan("port", 20, 30), second) == pytest.approx(5 / 15)
    assert agreement(MarkedSpan("flag", 0, 10), second) == 0.0
    assert agreement(MarkedSpan("flag", 60, 70), second) == pytest.approx(1 / 11)
    # They touch, and share nothing.
    assert agreement(MarkedSpan("port", 10, 25), second) == 0.0
    assert agreement(MarkedSpan("port", 0, 10), []) == 0.0


@given(spans, st.lists(spans, max_size=8))
def test_agreement_is_that_of_the_characters(span: MarkedSpan, second: list[MarkedSpan]) -> None:
    mine = set(range(span.start, span.end))
    shares_by_hand = [
        len(mine & theirs) / len(mine | theirs)
        for other in second
        if other.label == span.label and (theirs := set(range(other.start, other.end)))
    ]
    assert agreement(span, second) == pytest.approx(max(shares_by_hand, default=0.0))


def test_the_adjusted_confidence_is_a_weighted_mean() -> None:
    assert adjusted_confidence(0.5, 1.0, weight=0.4) == pytest.approx(0.7)
    assert adjusted_confidence(0.5, 0.0, weight=0.4) == pytest.approx(0.3)
    assert adjusted_confidence(None, 1.0) is None


@given(shares, st.lists(shares, min_size=2), shares)
def test_more_agreement_is_never_less_confidence(
    confidence: float, agreed: list[float], weight: float
) -> None:
    adjusted = [adjusted_confidence(confidence, each, weight) for each in sorted(agreed)]
    known = [value for value in adjusted if value is not None]
    assert len(known) == len(agreed)
    assert all(left <= right + 1e-12 for left, right in pairwise(known))
    assert all(0.0 <= value <= 1.0 for value in known)


def test_an_answer_is_doubtful_where_a_value_is_known_to_be_improbable() -> None:
    assert wants_second_pass([0.9, None, 0.49], 0.5)
    assert not wants_second_pass([0.9, None, 0.5], 0.5)
    assert not wants_second_pass([None, None], 0.5)
    assert not wants_second_pass([], 1.0)
