"""Chunks overlap: what two of them saw becomes one, and nothing is lost without a reason."""

import itertools
import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from preannotation_assets.extraction.merging import Dropped, merge
from preannotation_assets.extraction.spans import QuoteOutcome, Span

# A loaded machine makes no test wrong.
unhurried = settings(deadline=None)

PAGE_LENGTH = 200
FIRST, SECOND, THIRD = (0, 100), (80, 160), (140, 200)
CHUNKS = st.sampled_from([FIRST, SECOND, THIRD])


def span(
    start: int,
    end: int,
    label: str = "VESSEL",
    chunk: tuple[int, int] = FIRST,
    confidence: float | None = 0.5,
    similarity: float = 1.0,
    answered_at: int = 0,
    answer_index: int = 0,
) -> Span:
    return Span(label, start, end, confidence, similarity, *chunk, answered_at, answer_index)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    chunk = draw(CHUNKS)
    start = draw(st.integers(chunk[0], chunk[1] - 1))
    return span(
        start,
        draw(st.integers(start + 1, min(chunk[1], start + 30))),
        draw(st.sampled_from(["VESSEL", "OWNER"])),
        chunk,
        draw(st.sampled_from([None, 0.25, 0.5, 1.0])),
        draw(st.sampled_from([0.8, 1.0])),
        draw(st.integers(0, 2)),
        draw(st.integers(0, 1)),
    )


@unhurried
@given(st.lists(spans(), max_size=12), st.booleans(), st.randoms(use_true_random=False))
def test_every_span_is_kept_or_dropped_whatever_their_order(
    found: list[Span], overlaps_allowed: bool, shuffling: random.Random
) -> None:
    shuffled = list(found)
    shuffling.shuffle(shuffled)

    merged = merge(found, overlaps_allowed, PAGE_LENGTH)

    assert merge(shuffled, overlaps_allowed, PAGE_LENGTH) == merged
    everything = [*merged.kept, *(drop.span for drop in merged.dropped)]
    assert sorted(everything, key=repr) == sorted(found, key=repr)
    positions = [(kept.start, kept.end, kept.label) for kept in merged.kept]
    assert positions == sorted(set(positions))


@unhurried
@given(st.lists(spans(), max_size=12))
def test_no_overlap_stays_where_none_is_allowed(found: list[Span]) -> None:
    kept = merge(found, False, PAGE_LENGTH).kept

    assert all(one.end <= other.start for one, other in itertools.pairwise(kept))


def _weight(chosen: tuple[Span, ...]) -> float:
    return sum((one.end - one.start) * (1 + (one.confidence or 0.0)) for one in chosen)


@unhurried
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20), st.sampled_from([None, 0.5])), max_size=7))
def test_the_heaviest_set_agrees_with_brute_force(found: list[tuple[int, int, float | None]]) -> None:
    # One label a place: only overlaps are left to resolve.
    asked = [
        span(start, start + length, f"L{index}", confidence=confidence)
        for index, (start, length, confidence) in enumerate(found)
    ]

    kept = merge(asked, False, PAGE_LENGTH).kept

    best = max(
        _weight(chosen)
        for size in range(len(asked) + 1)
        for chosen in itertools.combinations(asked, size)
        if all(
            one.end <= other.start or other.end <= one.start
            for one, other in itertools.combinations(chosen, 2)
        )
    )
    assert _weight(kept) == best


def test_one_place_seen_by_two_chunks_is_one_span() -> None:
    seen = [span(85, 95), span(85, 95, chunk=SECOND, confidence=0.9)]

    merged = merge(seen, True, PAGE_LENGTH)

    assert merged.kept == (seen[1],)
    assert merged.dropped == (Dropped(seen[0], QuoteOutcome.SEEN_BY_TWO_CHUNKS),)


def test_an_exact_duplicate_of_one_chunk_is_one_span() -> None:
    merged = merge([span(5, 9), span(5, 9)], True, PAGE_LENGTH)

    assert merged.kept == (span(5, 9),)
    assert merged.dropped == (Dropped(span(5, 9), QuoteOutcome.EXACT_DUPLICATE),)


def test_any_confidence_is_better_than_none_then_similarity_then_the_earlier_answer_counts() -> None:
    ranked = [
        span(5, 9, confidence=0.1, similarity=0.5, answered_at=3),
        span(5, 9, confidence=None, similarity=0.9, answered_at=2),
        span(5, 9, confidence=None, similarity=0.8, answered_at=1),
        span(5, 9, confidence=None, similarity=0.8, answered_at=2),
    ]

    for first in range(len(ranked)):
        assert merge(ranked[first:][::-1], True, PAGE_LENGTH).kept == (ranked[first],)


def test_an_entity_cut_by_a_border_is_taken_from_the_chunk_that_saw_it_whole() -> None:
    # The cut half is surer of itself, and the chunk that saw it whole is the later one.
    cut = span(90, 100, confidence=1.0)
    whole = span(90, 108, chunk=SECOND, confidence=0.2)

    merged = merge([cut, whole], True, PAGE_LENGTH)

    assert merged.kept == (whole,)
    assert merged.dropped == (Dropped(cut, QuoteOutcome.CUT_BY_BORDER),)


def test_a_whole_short_span_beats_a_cut_longer_one() -> None:
    cut = span(80, 99, chunk=SECOND)
    whole = span(84, 99)

    assert merge([cut, whole], True, PAGE_LENGTH).kept == (whole,)


def test_the_borders_of_the_page_cut_nothing() -> None:
    at_start, owner_at_start = span(0, 10), span(0, 10, "OWNER")
    at_end = span(190, 200, chunk=THIRD)
    inside = span(185, 195, chunk=(150, 199), confidence=0.4)

    merged = merge([at_start, owner_at_start, at_end, inside], True, PAGE_LENGTH)

    # Both saw the entity whole and both are ten long: the surer one wins.
    assert merged.kept == (owner_at_start, at_start, at_end)


def test_of_two_that_saw_it_whole_the_longer_one_wins() -> None:
    short, long = span(85, 92), span(85, 97, chunk=SECOND)

    assert merge([short, long], True, PAGE_LENGTH).kept == (long,)


def test_nested_entities_that_one_chunk_answered_stay() -> None:
    port, town = span(82, 96), span(90, 96)
    seen_again = [replace(one, chunk_start=80, chunk_end=160, confidence=0.9) for one in (port, town)]

    assert merge([port, town, seen_again[1]], True, PAGE_LENGTH).kept == (port, seen_again[1])


def test_different_labels_overlap_where_that_is_allowed() -> None:
    owner, vessel = span(10, 30, "OWNER"), span(20, 40)

    assert merge([owner, vessel], True, PAGE_LENGTH).kept == (owner, vessel)


def test_the_longer_or_surer_span_stays_where_overlaps_are_forbidden() -> None:
    long, short = span(10, 30, "OWNER", confidence=0.5), span(12, 20, confidence=0.9)
    sure, unsure = span(50, 60, confidence=0.9), span(50, 60, "OWNER", confidence=0.2)

    merged = merge([long, short, sure, unsure], False, PAGE_LENGTH)

    assert merged.kept == (long, sure)
    assert {drop.reason for drop in merged.dropped} == {QuoteOutcome.OVERLAP}


def test_touching_spans_do_not_overlap() -> None:
    one, other = span(10, 20), span(20, 30)

    assert merge([one, other], False, PAGE_LENGTH).kept == (one, other)


def test_ten_thousand_spans_are_merged() -> None:
    found = [span(at, at + 15, f"L{at % 3}", (0, 10_100)) for at in range(10_000)]

    kept = merge(found, False, 10_100).kept

    assert len(kept) == 10_015 // 15
