"""Self-consistency: what a second answer at another temperature says about the first one's spans.

A second pass asks about texts with a doubtful answer only. It changes confidences and nothing else: a span
that only the second pass saw is never suggested, because the hotter answer is the worse one and nobody
would check it a third time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["AGREEMENT_WEIGHT", "MarkedSpan", "adjusted_confidence", "agreement", "wants_second_pass"]

AGREEMENT_WEIGHT: Final = 0.4
"""The share of the agreement in an adjusted confidence; docs/answers.md has what other weights give."""


@dataclass(frozen=True, slots=True)
class MarkedSpan:
    """A grounded span: ``text[start:end]`` under a label. Offsets of both passes are of the same text."""

    label: str
    start: int
    end: int


def wants_second_pass(probabilities: Iterable[float | None], below: float) -> bool:
    """Whether an answer is doubtful: some value's probability is known and less than ``below``.

    Where no probability is known a second pass could change nothing.
    """
    return any(probability is not None and probability < below for probability in probabilities)


def agreement(span: MarkedSpan, second: Iterable[MarkedSpan]) -> float:
    """How far a second pass marked the same as ``span``, in [0, 1].

    It is the characters shared with the nearest span of the same label by those of both: 1 where they are
    the same, 0 where there is none.
    """
    return max((_overlap(span, other) for other in second), default=0.0)


def adjusted_confidence(
    confidence: float | None, agreed: float, weight: float = AGREEMENT_WEIGHT
) -> float | None:
    """A confidence after a second pass; an unknown one stays unknown.

    ``(1 - weight) * confidence + weight * agreed``: a weighted mean of what the model's probabilities say
    and of how far its answers agree, the form of Chen and Mueller, "Quantifying Uncertainty in Answers from
    any Language Model" (ACL 2024), with one sample. All three are in [0, 1].
    """
    if confidence is None:
        return None
    return min(1.0, max(0.0, (1.0 - weight) * confidence + weight * agreed))


def _overlap(one: MarkedSpan, other: MarkedSpan) -> float:
    """Intersection over union of two spans' characters; 0 under different labels."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    if shared <= 0 or one.label != other.label:
        return 0.0
    return shared / (max(one.end, other.end) - min(one.start, other.start))
