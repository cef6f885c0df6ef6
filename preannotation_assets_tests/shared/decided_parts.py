"""Decisions of planted confidences: how often each is right is known, and is not what it says."""

from random import Random

from preannotation_assets.evaluation.actions import Fate
from preannotation_assets.evaluation.calibration import DecidedParts
from preannotation_assets.extraction.calibrated import ConfidenceParts

__all__ = ["parts_of", "planted", "true_share"]


def parts_of(confidence: float, label: str = "port", **changes: float | str | None) -> ConfidenceParts:
    known = {
        "token_probability": confidence, "lowest_token_probability": confidence, "similarity": 1.0,
        "agreement": None, "verdict": None,
    } | changes  # fmt: skip
    return ConfidenceParts(label=label, confidence=confidence, **known)  # type: ignore[arg-type]


def true_share(confidence: float) -> float:
    """Of a model that is too sure of itself."""
    return confidence**3


def planted(count: int, documents: int, seed: int = 1, label: str = "port") -> list[DecidedParts]:
    random = Random(seed)
    decided = []
    for number in range(count):
        confidence = random.uniform(0.3, 1.0)
        is_right = random.random() < true_share(confidence)
        fate = Fate.KEPT if is_right else Fate.DELETED
        decided.append(DecidedParts(f"d/{number % documents}", parts_of(confidence, label), fate))
    return decided
