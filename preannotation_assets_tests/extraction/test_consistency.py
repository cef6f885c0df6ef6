from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.extraction.consistency import (
    Agreement,
    MarkedSpan,
    SecondLook,
    compare_passes,
    wants_second_look,
)


def span(label: str, start: int, end: int, confidence: float | None = 0.5) -> MarkedSpan:
    return MarkedSpan(label, start, end, confidence)


spans = st.builds(
    lambda label, start, length, confidence: MarkedSpan(label, start, start + length, confidence),
    st.sampled_from(["port", "flag"]),
    st.integers(0, 20),
    st.integers(1, 8),
    st.none() | st.floats(0, 1),
)
passes = st.lists(spans, max_size=8)


def test_agreement_is_of_place_and_label() -> None:
    first = [span("port", 0, 10), span("port", 20, 30), span("port", 40, 50), span("flag", 60, 70)]
    second = [span("port", 0, 10), span("port", 25, 35), span("flag", 40, 50), span("flag", 69, 71)]
    looked = compare_passes(first, second, weight=0.5)
    assert [checked.agreement for checked in looked.checked] == [
        Agreement.EXACT,
        Agreement.PARTIAL,
        Agreement.ABSENT,
        Agreement.PARTIAL,
    ]
    assert [checked.overlap for checked in looked.checked] == pytest.approx([1, 5 / 15, 0, 1 / 11])
    adjusted = [checked.confidence for checked in looked.checked]
    assert adjusted == pytest.approx([0.75, 0.25 + 0.5 / 3, 0.25, 0.25 + 0.5 / 11])
    assert looked.not_added == (second[2],)


def test_spans_that_only_touch_do_not_overlap() -> None:
    looked = compare_passes([span("port", 0, 5)], [span("port", 5, 9)])
    assert looked.checked[0].agreement is Agreement.ABSENT
    assert looked.not_added == (span("port", 5, 9),)


def test_no_pass_no_agreement() -> None:
    assert compare_passes([], []) == SecondLook((), ())
    assert compare_passes([span("port", 0, 5, 0.8)], [], weight=0.25).checked[0].confidence == pytest.approx(
        0.6
    )


@given(passes, passes, st.floats(0, 1))
def test_nothing_is_added_left_out_or_made_up(
    first: list[MarkedSpan], second: list[MarkedSpan], weight: float
) -> None:
    looked = compare_passes(first, second, weight=weight)
    assert [checked.span for checked in looked.checked] == first
    assert set(looked.not_added) <= set(second)
    for checked in looked.checked:
        assert (checked.confidence is None) is (checked.span.confidence is None)
        assert checked.confidence is None or 0.0 <= checked.confidence <= 1.0
        assert (checked.agreement is Agreement.EXACT) is (
            any(
                (s.label, s.start, s.end) == (checked.span.label, checked.span.start, checked.span.end)
                for s in second
            )
        )
    for extra in looked.not_added:
        assert all(s.label != extra.label or s.end <= extra.start or extra.end <= s.start for s in first)


@given(passes, passes)
def test_the_second_passes_confidence_and_order_do_not_matter(
    first: list[MarkedSpan], second: list[MarkedSpan]
) -> None:
    looked = compare_passes(first, second)
    other = compare_passes(first, [replace(each, confidence=None) for each in reversed(second)])
    assert other.checked == looked.checked


@given(passes, st.floats(0, 1))
def test_an_equal_second_pass_lowers_nothing(first: list[MarkedSpan], weight: float) -> None:
    looked = compare_passes(first, first, weight=weight)
    assert looked.not_added == ()
    for checked in looked.checked:
        assert checked.agreement is Agreement.EXACT
        if checked.span.confidence is not None and checked.confidence is not None:
            assert checked.confidence >= checked.span.confidence - 1e-12


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_agreement_is_never_less_confidence(confidence: float, weight: float) -> None:
    one = span("port", 10, 20, confidence)
    seconds = [[], [span("port", 19, 30)], [span("port", 12, 22)], [span("port", 10, 20)]]
    adjusted = [compare_passes([one], second, weight=weight).checked[0].confidence for second in seconds]
    known = [value for value in adjusted if value is not None]
    assert len(known) == 4
    assert all(left <= right + 1e-12 for left, right in pairwise(known))


def test_a_page_of_low_confidence_has_a_span_known_to_be_doubtful() -> None:
    assert wants_second_look([0.9, None, 0.49], 0.5)
    assert not wants_second_look([0.9, None, 0.5], 0.5)
    assert not wants_second_look([None, None], 0.5)
    assert not wants_second_look([], 1.0)
