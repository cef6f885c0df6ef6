"""The spans of a page's chunks made one set: duplicates, cut entities and forbidden overlaps resolved.

Chunks overlap, so an entity near a border is seen twice, and one of the two may have seen only a part
of it. Merging goes in three steps, each in a fixed order of preference, so that the result does not
depend on the order of the spans:

1. Spans of one label at one place become one.
2. Spans of one label that overlap but come from different chunks are one entity seen twice; the span
   that was seen whole stays. Overlapping spans that one chunk answered itself are nested entities and
   both stay.
3. Where the label scheme forbids overlaps, the set of non-overlapping spans with the greatest total
   weight stays, found exactly (weighted interval scheduling). A span weighs its length in code points
   times one plus its confidence; an unknown confidence adds nothing.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from preannotation_assets.extraction.spans import QuoteOutcome, Span

__all__ = ["Dropped", "Merged", "merge"]

_Rank = tuple[float, float, int, int, int, int]

# Weights are integers, so that sums are exact and ties are ties on every machine.
_CONFIDENCE_STEPS = 1_000_000


@dataclass(frozen=True, slots=True)
class Dropped:
    """A span that was left out, and why."""

    span: Span
    reason: QuoteOutcome


@dataclass(frozen=True, slots=True)
class Merged:
    """The spans that stay, sorted by start, end and label, and those that were left out."""

    kept: tuple[Span, ...]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """One label at one place: its best span, and every chunk that answered it."""

    span: Span
    chunks: frozenset[tuple[int, int]]
    seen_whole: bool


def merge(spans: Sequence[Span], overlaps_allowed: bool, page_length: int) -> Merged:
    """Merges the spans of all chunks of one page.

    Args:
        spans: the grounded quotes of every chunk, in page offsets, in any order.
        overlaps_allowed: whether spans may overlap in the result.
        page_length: the length of the page in code points; a chunk's border at 0 or there cuts nothing.

    Returns:
        The spans that stay and those left out; together they are exactly the spans given.
    """
    dropped: list[Dropped] = []
    places = _one_span_a_place(spans, page_length, dropped)
    places = _one_span_an_entity(places, dropped)
    kept = [place.span for place in places]
    if not overlaps_allowed:
        kept = _heaviest_without_overlap(kept, dropped)
    return Merged(
        kept=tuple(sorted(kept, key=_position)),
        dropped=tuple(
            sorted(dropped, key=lambda drop: (_position(drop.span), _rank(drop.span), drop.reason))
        ),
    )


def _one_span_a_place(spans: Iterable[Span], page_length: int, dropped: list[Dropped]) -> list[_Place]:
    by_place: dict[tuple[int, int, str], list[Span]] = defaultdict(list)
    for span in spans:
        by_place[_position(span)].append(span)
    places: list[_Place] = []
    for same in by_place.values():
        best, *others = sorted(same, key=_rank)
        seen = {_chunk(best)}
        for other in others:
            repeated = _chunk(other) in seen
            seen.add(_chunk(other))
            reason = QuoteOutcome.EXACT_DUPLICATE if repeated else QuoteOutcome.SEEN_BY_TWO_CHUNKS
            dropped.append(Dropped(other, reason))
        whole = any(not _touches_inner_border(span, page_length) for span in same)
        places.append(_Place(best, frozenset(seen), whole))
    return places


def _one_span_an_entity(places: Iterable[_Place], dropped: list[Dropped]) -> list[_Place]:
    by_label: dict[str, list[_Place]] = defaultdict(list)
    for place in places:
        by_label[place.span.label].append(place)
    kept: list[_Place] = []
    for same_label in by_label.values():
        for cluster in _overlapping_clusters(same_label):
            kept.extend(_resolve_cluster(cluster, dropped))
    return kept


def _overlapping_clusters(places: Iterable[_Place]) -> list[list[_Place]]:
    clusters: list[list[_Place]] = []
    reach = -1
    for place in sorted(places, key=lambda place: _position(place.span)):
        if not clusters or place.span.start >= reach:
            clusters.append([])
        clusters[-1].append(place)
        reach = max(reach, place.span.end)
    return clusters


def _resolve_cluster(cluster: Sequence[_Place], dropped: list[Dropped]) -> list[_Place]:
    if frozenset.intersection(*(place.chunks for place in cluster)):
        return list(cluster)  # one chunk answered them all: they are nested, not seen twice
    kept: list[_Place] = []
    for place in sorted(cluster, key=_entity_rank):
        winner = next((other for other in kept if _same_entity(place, other)), None)
        if winner is None:
            kept.append(place)
        elif winner.seen_whole and not place.seen_whole:
            dropped.append(Dropped(place.span, QuoteOutcome.CUT_BY_BORDER))
        else:
            dropped.append(Dropped(place.span, QuoteOutcome.SEEN_BY_TWO_CHUNKS))
    return kept


def _same_entity(one: _Place, other: _Place) -> bool:
    return _overlap(one.span, other.span) and one.chunks.isdisjoint(other.chunks)


def _heaviest_without_overlap(spans: Iterable[Span], dropped: list[Dropped]) -> list[Span]:
    """Weighted interval scheduling, exact, in O(n log n); of equally heavy sets one with the fewest spans."""
    ordered = sorted(spans, key=lambda span: (span.end, span.start, span.label))
    ends = [span.end for span in ordered]
    best: list[tuple[int, int]] = [(0, 0)]
    previous: list[int] = []
    for index, span in enumerate(ordered):
        before = bisect_right(ends, span.start, 0, index)
        previous.append(before)
        weight, fewness = best[before]
        best.append(max(best[index], (weight + _weight(span), fewness - 1)))
    kept: list[Span] = []
    index = len(ordered)
    while index > 0:
        span = ordered[index - 1]
        if best[index] == best[index - 1]:
            dropped.append(Dropped(span, QuoteOutcome.OVERLAP))
            index -= 1
            continue
        kept.append(span)
        skipped = ordered[previous[index - 1] : index - 1]
        dropped.extend(Dropped(other, QuoteOutcome.OVERLAP) for other in skipped)
        index = previous[index - 1]
    return kept


def _weight(span: Span) -> int:
    confidence = 0.0 if span.confidence is None else span.confidence
    return (span.end - span.start) * (_CONFIDENCE_STEPS + round(confidence * _CONFIDENCE_STEPS))


def _position(span: Span) -> tuple[int, int, str]:
    return span.start, span.end, span.label


def _chunk(span: Span) -> tuple[int, int]:
    return span.chunk_start, span.chunk_end


def _rank(span: Span) -> _Rank:
    """Best first: the higher confidence, the higher similarity, the earlier answer, the earlier chunk."""
    confidence = -1.0 if span.confidence is None else span.confidence
    return (
        -confidence,
        -span.similarity,
        span.answered_at,
        span.chunk_start,
        span.chunk_end,
        span.answer_index,
    )


def _entity_rank(place: _Place) -> tuple[bool, int, _Rank, int]:
    span = place.span
    return not place.seen_whole, span.start - span.end, _rank(span), span.start


def _touches_inner_border(span: Span, page_length: int) -> bool:
    cut_before = span.start <= span.chunk_start and span.chunk_start > 0
    cut_after = span.end >= span.chunk_end and span.chunk_end < page_length
    return cut_before or cut_after


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end
