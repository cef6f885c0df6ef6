"""A stored calibration, applied: from the parts of a confidence to the share of such values that is right.

It is plain numbers, fitted by ``evaluation/calibration.py`` and hashed over what they say, so that applying
it needs no library and gives the same everywhere.
"""

import hashlib
import json
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

__all__ = [
    "Calibration",
    "CalibrationFit",
    "CalibrationMethod",
    "ConfidenceParts",
    "IsotonicMap",
    "LogisticModel",
    "features_of",
]

_HASH_DIGITS: Final = 16
# How near to 0 and 1 a probability is taken for its logarithm.
_LEAST_ODDS: Final = 1e-4


class CalibrationMethod(StrEnum):
    """How confidences are mapped. ``ISOTONIC`` keeps their order, ``LOGISTIC`` weighs all parts anew."""

    ISOTONIC = "isotonic"
    LOGISTIC = "logistic"


@dataclass(frozen=True, slots=True)
class ConfidenceParts:
    """What a confidence was made of, as ``groundings`` keep it; what is None is unknown.

    ``confidence`` is the one without a calibration.
    """

    label: str
    confidence: float
    token_probability: float | None
    lowest_token_probability: float | None
    similarity: float
    agreement: float | None
    verdict: str | None


@dataclass(frozen=True, slots=True)
class IsotonicMap:
    """A map that never falls: ``probabilities`` at ``confidences``, which rise; between them a line.

    Below the first and above the last it is as there.
    """

    confidences: tuple[float, ...]
    probabilities: tuple[float, ...]

    def probability(self, confidence: float) -> float:
        """What the confidence is worth."""
        above = bisect_right(self.confidences, confidence)
        if above == 0:
            return self.probabilities[0]
        if above == len(self.confidences):
            return self.probabilities[-1]
        left, right = self.confidences[above - 1], self.confidences[above]
        low, high = self.probabilities[above - 1], self.probabilities[above]
        # Kept between the two, where rounding would leave them.
        return min(high, max(low, low + (high - low) * (confidence - left) / (right - left)))


@dataclass(frozen=True, slots=True)
class LogisticModel:
    """A weight for each of ``features_of``; a feature without one has 0."""

    intercept: float
    weights: Mapping[str, float]

    def probability(self, parts: ConfidenceParts) -> float:
        """What the parts are worth."""
        terms = (self.weights.get(name, 0.0) * value for name, value in features_of(parts).items())
        return _logistic(math.fsum([self.intercept, *terms]))


@dataclass(frozen=True, slots=True)
class CalibrationFit:
    """What a calibration was fitted on, and how it did on documents that it had not seen.

    ``brier`` and ``expected_calibration_error`` are of these, ``..._before`` of the same
    confidences without it.
    """

    documents: int
    suggestions: int
    brier_before: float
    expected_calibration_error_before: float
    brier: float
    expected_calibration_error: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is stored of a calibration. One of ``isotonic`` and ``logistic`` is there.

    ``thresholds`` has, for a label with enough decisions, the least probability at which a suggestion saves
    an expert more actions than it costs. ``correction_actions`` are what experts did on average to a
    suggestion that was wrong. ``model_versions`` are those of the answers it was fitted on.
    """

    isotonic: IsotonicMap | None
    logistic: LogisticModel | None
    thresholds: Mapping[str, float]
    correction_actions: float
    model_versions: tuple[str, ...]
    fit: CalibrationFit

    @property
    def method(self) -> CalibrationMethod:
        """Which of the two it is."""
        return CalibrationMethod.LOGISTIC if self.isotonic is None else CalibrationMethod.ISOTONIC

    @property
    def content_hash(self) -> str:
        """16 hexadecimal digits over all that it says: its name."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]

    def probability(self, parts: ConfidenceParts) -> float:
        """The share of suggestions of these parts that experts keep as they stand, in [0, 1]."""
        if self.isotonic is not None:
            return self.isotonic.probability(parts.confidence)
        if self.logistic is not None:
            return self.logistic.probability(parts)
        raise AssertionError("a calibration has a map or a model")

    def is_held_back(self, label: str, probability: float | None) -> bool:
        """Whether a suggestion is below the threshold of its label; never where either is unknown."""
        return probability is not None and probability < self.thresholds.get(label, 0.0)


def features_of(parts: ConfidenceParts) -> dict[str, float]:
    """The features of a logistic model by name; one that is unknown or does not apply is left out."""
    features = {
        "confidence": _log_odds(parts.confidence),
        "repaired": 1.0 - parts.similarity,
        f"label:{parts.label}": 1.0,
    }
    if parts.token_probability is None or parts.lowest_token_probability is None:
        features["without_probability"] = 1.0
    else:
        features["token_probability"] = _log_odds(parts.token_probability)
        features["lowest_token_probability"] = _log_odds(parts.lowest_token_probability)
    if parts.agreement is not None:
        features["asked_twice"] = 1.0
        features["agreement"] = parts.agreement
    if parts.verdict is not None:
        features[f"verdict:{parts.verdict}"] = 1.0
    return features


def _log_odds(probability: float) -> float:
    kept = min(1.0 - _LEAST_ODDS, max(_LEAST_ODDS, probability))
    return math.log(kept / (1.0 - kept))


def _logistic(odds: float) -> float:
    if odds >= 0:
        return 1.0 / (1.0 + math.exp(-odds))
    power = math.exp(max(odds, -700.0))
    return power / (1.0 + power)
