"""What the server's own counts of prompts teach about the tokenizer of its model. Pure.

A prompt is a constant part and a text. Of both the estimate is known by kind of character, and of their sum
the server's count. A regression finds the factor of each kind: without negative factors, and with today's
factors as what is believed before, so that a kind that hardly occurs keeps its factor. docs/chunking.md
says how well this does.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from preannotation_assets.extraction.token_kinds import MAX_FACTOR, MIN_FACTOR, KindFactors, TokenKind
from preannotation_assets.extraction.tokens import MAX_CALIBRATION

__all__ = ["FEWEST_PROMPTS", "CountedPrompt", "LearnedTokens", "learn_tokens"]

FEWEST_PROMPTS: Final = 20
"""Below this nothing is learned."""

# How far off factors are believed to be before anything was counted (standard deviations). Digits are
# one, two or three to a token, by the tokenizer.
_SPREAD: Final = 0.5
_SPREAD_OF_DIGITS: Final = 1.0
# The first digit of a number is a token in every tokenizer.
_ALIKE: Final = (TokenKind.FIRST_DIGITS,)
# What was learned from one of many scripts is not to lower the estimate of another.
_NEVER_LOWERED: Final = (TokenKind.OTHER_SCRIPTS,)
# How far the sum of a text is off where the factors are right, as a share of it and in tokens.
_NOISE_SHARE: Final = 0.05
_NOISE_TOKENS: Final = 5.0
# What the constant part may cost beside its text (the chat template), as a share of its estimate.
_CONSTANT_SPREAD: Final = 0.05
_SWEEPS: Final = 300
# Of the texts learned from, this share is to be within the corrected estimate, and with how much to spare.
_QUANTILE: Final = 0.98
_MARGIN: Final = 1.08

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CountedPrompt:
    """A text's estimate by kind (``tokens_by_kind``), and the server's count of the prompt about it."""

    by_kind: tuple[float, ...]
    reported: int


@dataclass(frozen=True, slots=True)
class LearnedTokens:
    """The factors of kinds of characters, and that of the estimate made with them, which is at least 1."""

    kind_factors: KindFactors
    calibration: float


def learn_tokens(
    prompts: Sequence[CountedPrompt], constant: Sequence[float], before: KindFactors
) -> LearnedTokens | None:
    """Learns how a model's tokenizer differs from Llama 3's.

    Args:
        prompts: Of answered requests. Those without tokens are left out.
        constant: The estimate by kind of what every prompt starts with.
        before: What was learned earlier. Where it is above 1 it is believed until counts say otherwise.

    Returns:
        Factors, or None with fewer than ``FEWEST_PROMPTS`` prompts. A factor below the one believed before is
        lowered no further than the counts are sure of.
    """
    counted = [prompt for prompt in prompts if prompt.reported > 0 and sum(prompt.by_kind) > 0]
    if len(counted) < FEWEST_PROMPTS:
        return None
    texts = np.array([prompt.by_kind for prompt in counted])
    reported = np.array([prompt.reported for prompt in counted], dtype=np.float64)
    fit = _fit(texts, reported, np.array(constant), np.maximum(1.0, before.factors))
    factors = KindFactors(tuple(round(float(factor), 3) for factor in fit.safe_factors))
    ratios = np.sort((reported - fit.constant_tokens) / (texts @ np.array(factors.factors)))
    quantile = float(ratios[math.ceil(_QUANTILE * len(ratios)) - 1])
    # Kinds that were not seen are not to be lowered with the others.
    return LearnedTokens(factors, round(min(max(_MARGIN * quantile, 1.0), MAX_CALIBRATION), 3))


@dataclass(frozen=True, slots=True)
class _Fit:
    """``constant_tokens`` is what every prompt costs beside its text."""

    safe_factors: _Numbers
    constant_tokens: float


def _fit(texts: _Numbers, reported: _Numbers, constant: _Numbers, believed: _Numbers) -> _Fit:
    """Least squares of the counts and of the distance from what is believed, each in its own spread."""
    spreads = np.append(_spreads(), _CONSTANT_SPREAD * constant.sum() + 1.0)
    centre = np.append(believed, 0.0)
    design = np.column_stack((texts + constant, np.ones(len(texts))))
    weights = (_NOISE_SHARE * texts.sum(axis=1) + _NOISE_TOKENS) ** -2
    precision = design.T @ (design * weights[:, None]) + np.diag(spreads**-2)
    solved = _descend(precision, design.T @ (weights * reported) + centre * spreads**-2, centre)
    factors, doubt = solved[:-1], np.sqrt(np.diag(np.linalg.inv(precision)))[:-1]
    safe = np.clip(np.maximum(factors, np.minimum(factors + doubt, believed)), MIN_FACTOR, MAX_FACTOR)
    safe = np.where(_among(_NEVER_LOWERED), np.maximum(safe, 1.0), safe)
    return _Fit(np.where(_among(_ALIKE), 1.0, safe), float(constant @ factors + solved[-1]))


def _descend(precision: _Numbers, wanted: _Numbers, start: _Numbers) -> _Numbers:
    """Solves for the factors, each between its least and most, by coordinate descent."""
    alike = _among(_ALIKE)
    least = np.append(np.where(alike, 1.0, MIN_FACTOR), -np.inf)
    most = np.append(np.where(alike, 1.0, MAX_FACTOR), np.inf)
    solved = np.clip(start, least, most)
    for _ in range(_SWEEPS):
        for place in range(len(solved)):
            step = (wanted[place] - precision[place] @ solved) / precision[place, place]
            solved[place] = min(max(solved[place] + step, least[place]), most[place])
    return solved


def _among(kinds: Collection[TokenKind]) -> NDArray[np.bool_]:
    return np.array([kind in kinds for kind in TokenKind])


def _spreads() -> _Numbers:
    return np.array([_SPREAD_OF_DIGITS if kind == TokenKind.DIGITS else _SPREAD for kind in TokenKind])
