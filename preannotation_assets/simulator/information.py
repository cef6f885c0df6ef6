"""Hard pages, and probabilities that tell right answers from wrong ones so far and no further."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import Final

from preannotation_assets.simulator.chance import fraction
from preannotation_assets.simulator.habits import REPAIRED, Answer

__all__ = ["informed", "is_hard"]

_STANDARD: Final = NormalDist()
# Where the log odds of what is stated lie, and how far they spread.
_MIDDLE: Final = 2.0
_SPREAD: Final = 1.2
# What certainty.py takes off.
_OFFSET: Final = 0.02


def is_hard(document: str, share: float) -> bool:
    """Whether a page is one of the share of hard ones, which are the same for every model."""
    return fraction("hard", document) < share


def informed(answers: Sequence[Answer], information: float, source: tuple[object, ...]) -> list[Answer]:
    """The answers with qualities of which a right one's is above a wrong one's with that probability.

    The log odds of what is stated are normal with one spread for both kinds, apart by the square root of 2
    times the normal quantile of ``information`` (the binormal model of the ROC curve). A repaired quote
    counts as right.
    """
    apart = math.sqrt(2.0) * _STANDARD.inv_cdf(information)
    told = []
    for number, answer in enumerate(answers):
        chance = min(1 - 1e-9, max(1e-9, fraction(*source, number, "information")))
        side = apart / 2 if answer.quality >= REPAIRED else -apart / 2
        odds = _MIDDLE + _SPREAD * (_STANDARD.inv_cdf(chance) + side)
        stated = 1.0 / (1.0 + math.exp(-odds))
        told.append(replace(answer, quality=min(1.0, (stated + _OFFSET) / (1 - _OFFSET))))
    return told
