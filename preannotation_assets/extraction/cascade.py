"""Which answers of a small model are asked of the large one as well. Pure.

A cascade asks a small model about every chunk, and the large one only where something speaks against the
small one's answer. A chunk has the answer of one model as a whole: quotes of two answers are never mixed.
What speaks against it is of two kinds: doubts, which are there or not, and the lowest confidence of what it
would publish, which is held against a threshold. So a higher threshold asks about the same chunks and more.
"""

import hashlib
from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from preannotation_assets.extraction.calibrated import Calibration
from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.extraction.suggesting import JudgedQuote, PageSuggestions
from preannotation_assets.extraction.values import Verdict

__all__ = [
    "CASCADE_SUFFIX",
    "CHOSEN_DOUBTS",
    "LEAST_AGREEMENT",
    "CascadeRule",
    "Doubt",
    "SmallAnswer",
    "cascade_version",
]

LEAST_AGREEMENT: Final = 0.5
"""Characters shared with the second pass by those of both; below it the two passes disagree."""

CASCADE_SUFFIX: Final = "/cas-"
"""What a model version of a cascade has behind that of its large model."""
_HASH_DIGITS: Final = 12


class Doubt(StrEnum):
    """What speaks against an answer; of several the first one here is told."""

    NOT_ANSWERED = "not_answered"
    CUT_OFF = "cut_off"
    EMPTY = "empty"
    NOT_GROUNDED = "not_grounded"
    INVALID_VALUE = "invalid_value"
    DISAGREEMENT = "disagreement"
    UNKNOWN_CONFIDENCE = "unknown_confidence"
    BELOW_THRESHOLD = "below_threshold"


CHOSEN_DOUBTS: Final = frozenset((Doubt.EMPTY, Doubt.NOT_GROUNDED, Doubt.INVALID_VALUE, Doubt.DISAGREEMENT))
"""The doubts that a rule may leave out; without an answer, or a known confidence, nothing can be kept."""


@dataclass(frozen=True, slots=True)
class SmallAnswer:
    """What is known of the small model's answer about a chunk.

    ``lowest`` is the least confidence, calibrated where there is a calibration, of what it would publish;
    None where that is nothing, or one of them is unknown.
    """

    doubts: frozenset[Doubt]
    lowest: float | None

    @classmethod
    def missing(cls, doubt: Doubt) -> "SmallAnswer":
        """No answer, or none that is whole."""
        return cls(frozenset((doubt,)), None)

    @classmethod
    def of(cls, found: PageSuggestions, calibration: Calibration | None) -> "SmallAnswer":
        """The answer about a chunk, grounded in its text alone."""
        published = [quote for quote in found.quotes if quote.outcome is QuoteOutcome.KEPT]
        confidences = [_confidence(quote, calibration) for quote in published]
        known = [confidence for confidence in confidences if confidence is not None]
        doubts = {
            Doubt.EMPTY: not published,
            Doubt.NOT_GROUNDED: any(not quote.outcome.is_grounded for quote in found.quotes),
            Doubt.INVALID_VALUE: any(quote.verdict is Verdict.INVALID for quote in found.quotes),
            Doubt.DISAGREEMENT: any(
                quote.agreement is not None and quote.agreement < LEAST_AGREEMENT for quote in published
            ),
            Doubt.UNKNOWN_CONFIDENCE: len(known) < len(confidences),
        }
        return cls(
            frozenset(doubt for doubt, is_there in doubts.items() if is_there),
            min(known) if known and len(known) == len(confidences) else None,
        )


@dataclass(frozen=True, slots=True)
class CascadeRule:
    """What is asked of the large model.

    ``threshold`` is in [0, 1]; ``left_out`` are doubts that do not count, of ``CHOSEN_DOUBTS``. A chunk whose
    answer is empty has no confidence: where that doubt is left out, empty answers are believed.
    """

    threshold: float
    left_out: Set[Doubt] = frozenset()

    def doubt(self, answer: SmallAnswer) -> Doubt | None:
        """Why the large model is asked as well; None where the small one's answer stands."""
        standing = answer.doubts - (CHOSEN_DOUBTS & self.left_out)
        if standing:
            return next(doubt for doubt in Doubt if doubt in standing)
        is_low = answer.lowest is not None and answer.lowest < self.threshold
        return Doubt.BELOW_THRESHOLD if is_low else None


def cascade_version(
    large_version: str,
    small_model: str,
    small_digest: str,
    rule: CascadeRule,
    calibration: Calibration | None,
) -> str:
    """The model version of what a cascade publishes, from that of its large model.

    It names the small model, without the folders of its name, and the threshold, and ends with a hash of all
    that decides. Argilla takes 200 characters for model and version together.
    """
    name, calibrated = small_model.rpartition("/")[2], calibration and calibration.content_hash
    content = repr((small_model, small_digest, rule.threshold, sorted(rule.left_out), calibrated))
    digest = hashlib.sha256(content.encode()).hexdigest()[:_HASH_DIGITS]
    return f"{large_version}{CASCADE_SUFFIX}{name}-{rule.threshold:g}-{digest}"


def _confidence(quote: JudgedQuote, calibration: Calibration | None) -> float | None:
    parts = quote.confidence_parts
    if calibration is None or parts is None:
        return quote.confidence
    return calibration.probability(parts)
