"""Self-consistency: what a second answer at another temperature says about the first one's spans.

A second pass asks about pages of low confidence only. It changes confidences and nothing else: a span
that only the second pass saw is never suggested, because the hotter answer is the worse one and nobody
would check it a third time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = [
    "AGREEMENT_WEIGHT",
    "Agreement",
    "CheckedSpan",
    "MarkedSpan",
    "SecondLook",
    "compare_passes",
    "wants_second_look",
]

AGREEMENT_WEIGHT: Final = 0.4
"""The share of the agreement in an adjusted confidence; docs/answers.md has what other weights give."""


class Agreement(StrEnum):
    """Whether the second pass saw a span of the first: label, start and end; label and a part; not at all."""

    EXACT = "exact"
    PARTIAL = "partial"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class MarkedSpan:
    """A grounded span: ``text[start:end]`` under a label. Offsets of both passes are of the same text.

    ``confidence`` is in [0, 1], or None where it is unknown.
    """

    label: str
    start: int
    end: int
    confidence: float | None


@dataclass(frozen=True, slots=True)
class CheckedSpan:
    """A span of the first pass after the second one.

    ``overlap`` is the characters that the span shares with the nearest span of its label in the second
    pass, by those of both: 1 where they are the same, 0 where there is none. ``confidence`` is the
    adjusted one; None where it was None.
    """

    span: MarkedSpan
    agreement: Agreement
    overlap: float
    confidence: float | None


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What came of a second pass: as many checked spans as the first had, in its order.

    ``not_added`` are the spans of the second pass that touch none of the first under the same label.
    They are for counting; they never become suggestions.
    """

    checked: tuple[CheckedSpan, ...]
    not_added: tuple[MarkedSpan, ...]


def wants_second_look(confidences: Iterable[float | None], threshold: float) -> bool:
    """Whether a page has low confidence: some span's confidence is known and below the threshold.

    A page without spans has none, and where no confidence is known a second pass could change nothing.
    """
    return any(confidence is not None and confidence < threshold for confidence in confidences)


def compare_passes(
    first: Sequence[MarkedSpan], second: Sequence[MarkedSpan], *, weight: float = AGREEMENT_WEIGHT
) -> SecondLook:
    """Checks the spans of a text's first pass against those of its second.

    The adjusted confidence is ``(1 - weight) * confidence + weight * overlap``: a weighted mean of what
    the model's probabilities say and of how far its answers agree, the form of Chen and Mueller,
    "Quantifying Uncertainty in Answers from any Language Model" (ACL 2024), with one sample. ``weight``
    is in [0, 1]. Confidences of the second pass are not used.
    """
    return SecondLook(
        checked=tuple(_check(span, second, weight) for span in first),
        not_added=tuple(span for span in second if not any(_overlap(span, other) for other in first)),
    )


def _check(span: MarkedSpan, second: Sequence[MarkedSpan], weight: float) -> CheckedSpan:
    overlap = max((_overlap(span, other) for other in second), default=0.0)
    agreement = Agreement.PARTIAL if overlap else Agreement.ABSENT
    if overlap == 1.0:
        agreement = Agreement.EXACT
    return CheckedSpan(span, agreement, overlap, _adjusted(span.confidence, overlap, weight))


def _overlap(one: MarkedSpan, other: MarkedSpan) -> float:
    """Intersection over union of two spans' characters; 0 under different labels."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    if shared <= 0 or one.label != other.label:
        return 0.0
    return shared / (max(one.end, other.end) - min(one.start, other.start))


def _adjusted(confidence: float | None, overlap: float, weight: float) -> float | None:
    if confidence is None:
        return None
    return min(1.0, max(0.0, (1.0 - weight) * confidence + weight * overlap))
