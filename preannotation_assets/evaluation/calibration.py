"""Fits what a confidence is worth to what experts decided, and measures it on documents it has not seen.

Pool adjacent violators for the isotonic map (Ayer et al., 1955; Zadrozny and Elkan, 2002), Newton's method
for logistic regression with a quadratic penalty. Both are a few lines of numpy; scikit-learn, with which a
test compares them, would bring 150 MB.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import fsum
from typing import Final

import numpy as np
import numpy.typing as npt

from preannotation_assets.evaluation.actions import ActionCosts, Fate
from preannotation_assets.evaluation.reliability import Judged, measure_reliability
from preannotation_assets.extraction.calibrated import (
    Calibration,
    CalibrationFit,
    CalibrationMethod,
    ConfidenceParts,
    IsotonicMap,
    LogisticModel,
    features_of,
)

__all__ = [
    "FEWEST_DOCUMENTS",
    "FEWEST_OF_A_KIND",
    "FEWEST_OF_A_LABEL",
    "FEWEST_SUGGESTIONS",
    "MOST_ERROR",
    "DecidedParts",
    "FittedCalibration",
    "HeldOutFigures",
    "LabelThreshold",
    "fit_calibration",
    "fit_isotonic",
    "fit_logistic",
]

FEWEST_SUGGESTIONS: Final = 300
FEWEST_DOCUMENTS: Final = 10
FEWEST_OF_A_KIND: Final = 30
"""Right ones, and wrong ones. With fewer of any of these three nothing is fitted."""
FEWEST_OF_A_LABEL: Final = 50
"""With fewer decided suggestions a label has no threshold."""
MOST_ERROR: Final = 0.05
"""The expected calibration error on held-out documents above which a calibration is not used."""

_FOLDS: Final = 5
_PENALTY: Final = 1.0
_MOST_STEPS: Final = 100
_SMALLEST_STEP: Final = 1e-10
_ONE_SIDED: Final = (
    "too little was reviewed: without some of the documents all suggestions are right, or all are wrong; "
    "both are needed in several"
)
# So that a last bit, which differs from processor to processor, does not name another calibration.
_DECIMALS: Final = 9


@dataclass(frozen=True, slots=True)
class DecidedParts:
    """The parts of a suggestion's confidence, and what an expert made of it."""

    doc_id: str
    parts: ConfidenceParts
    fate: Fate

    @property
    def is_right(self) -> bool:
        """Whether it was kept as it stood."""
        return self.fate is Fate.KEPT


@dataclass(frozen=True, slots=True)
class HeldOutFigures:
    """How well probabilities did, each of which is from a fit without its document."""

    brier: float
    expected_calibration_error: float


@dataclass(frozen=True, slots=True)
class LabelThreshold:
    """Where a label's suggestions begin to save more actions than they cost, on held-out documents.

    Below ``threshold`` lie ``held_back`` of ``suggestions``; without them ``saved`` more actions are saved.
    """

    label: str
    threshold: float
    suggestions: int
    held_back: int
    saved: float


@dataclass(frozen=True, slots=True)
class FittedCalibration:
    """What came of a fit; ``calibration`` is None where ``problem`` says why.

    ``before`` and ``held_out`` are empty where there is too little to fit anything on.
    """

    documents: int
    suggestions: int
    right: int
    before: HeldOutFigures | None = None
    held_out: Mapping[CalibrationMethod, HeldOutFigures] = field(default_factory=dict)
    thresholds: tuple[LabelThreshold, ...] = ()
    calibration: Calibration | None = None
    problem: str | None = None


_Probability = Callable[[ConfidenceParts], float]


def fit_calibration(
    decided: Sequence[DecidedParts], costs: ActionCosts, model_versions: Sequence[str]
) -> FittedCalibration:
    """Fits both methods and takes the one with the lower Brier score on held-out documents.

    One that is no better than the confidences are, or is off by more than ``MOST_ERROR`` on average, is not
    taken; none is where there is too little data. Order decides nothing.
    """
    ordered = sorted(decided, key=repr)
    documents, right = len({each.doc_id for each in ordered}), sum(each.is_right for each in ordered)
    counts = documents, len(ordered), right
    folds = _folds(ordered)
    if not _is_enough(*counts):
        return FittedCalibration(*counts, problem=_too_little(*counts))
    if not all(map(_has_both, _training_sets(ordered, folds))):
        return FittedCalibration(*counts, problem=_ONE_SIDED)
    before = _figures(ordered, [each.parts.confidence for each in ordered])
    unseen = {method: _unseen(ordered, folds, method) for method in CalibrationMethod}
    held_out = {method: _figures(ordered, found) for method, found in unseen.items()}
    best = _best(before, held_out)
    thresholds = tuple(_thresholds(ordered, unseen[best], costs))
    problem = _doubt(before, held_out[best])
    found = None
    if problem is None:
        found = Calibration(
            fit_isotonic(ordered) if best is CalibrationMethod.ISOTONIC else None,
            fit_logistic(ordered) if best is CalibrationMethod.LOGISTIC else None,
            {each.label: each.threshold for each in thresholds},
            _correction_actions(ordered, costs),
            tuple(sorted(set(model_versions))),
            _fit_of(documents, len(ordered), before, held_out[best]),
        )
    return FittedCalibration(*counts, before, held_out, thresholds, found, problem)


def _is_enough(documents: int, suggestions: int, right: int) -> bool:
    return (
        documents >= FEWEST_DOCUMENTS
        and suggestions >= FEWEST_SUGGESTIONS
        and min(right, suggestions - right) >= FEWEST_OF_A_KIND
    )


def _has_both(decided: Sequence[DecidedParts]) -> bool:
    return len({each.is_right for each in decided}) == len((True, False))


def _too_little(documents: int, suggestions: int, right: int) -> str:
    return (
        f"too little was reviewed: {suggestions} suggestions with a confidence in {documents} documents, "
        f"{right} of them right; {FEWEST_SUGGESTIONS} in {FEWEST_DOCUMENTS} documents are needed, "
        f"{FEWEST_OF_A_KIND} right and {FEWEST_OF_A_KIND} wrong"
    )


def _best(before: HeldOutFigures, held_out: Mapping[CalibrationMethod, HeldOutFigures]) -> CalibrationMethod:
    """The one with the lower Brier score of those that can be taken, or of both where none can."""
    usable = [method for method in CalibrationMethod if _doubt(before, held_out[method]) is None]
    return min(usable or CalibrationMethod, key=lambda method: held_out[method].brier)


def _doubt(before: HeldOutFigures, best: HeldOutFigures) -> str | None:
    if best.brier >= before.brier:
        return "on documents that were held out no calibration is better than the confidences themselves"
    if best.expected_calibration_error > MOST_ERROR:
        return (
            f"on documents that were held out it is off by {best.expected_calibration_error:.3f} on average, "
            f"more than {MOST_ERROR}; more reviewed documents may change that"
        )
    return None


def _correction_actions(decided: Sequence[DecidedParts], costs: ActionCosts) -> float:
    spent = [costs.total({each.fate: 1}) for each in decided if not each.is_right]
    return round(fsum(spent) / len(spent), _DECIMALS)


def _fit_of(documents: int, suggestions: int, before: HeldOutFigures, best: HeldOutFigures) -> CalibrationFit:
    return CalibrationFit(
        documents,
        suggestions,
        round(before.brier, _DECIMALS),
        round(before.expected_calibration_error, _DECIMALS),
        round(best.brier, _DECIMALS),
        round(best.expected_calibration_error, _DECIMALS),
    )


def _folds(decided: Sequence[DecidedParts]) -> dict[str, int]:
    """A fold for each document; the largest first, each into the fold that has the fewest suggestions."""
    sizes: defaultdict[str, int] = defaultdict(int)
    for each in decided:
        sizes[each.doc_id] += 1
    held = [0] * _FOLDS
    folds = {}
    for doc_id in sorted(sizes, key=lambda doc_id: (-sizes[doc_id], doc_id)):
        folds[doc_id] = held.index(min(held))
        held[folds[doc_id]] += sizes[doc_id]
    return folds


def _training_sets(
    decided: Sequence[DecidedParts], folds: Mapping[str, int]
) -> Iterator[Sequence[DecidedParts]]:
    for fold in range(_FOLDS):
        yield [each for each in decided if folds[each.doc_id] != fold]


def _unseen(
    decided: Sequence[DecidedParts], folds: Mapping[str, int], method: CalibrationMethod
) -> list[float]:
    """What each suggestion is worth by a fit that has not seen its document."""
    fitted = [_probability(training, method) for training in _training_sets(decided, folds)]
    return [fitted[folds[each.doc_id]](each.parts) for each in decided]


def _probability(decided: Sequence[DecidedParts], method: CalibrationMethod) -> _Probability:
    match method:
        case CalibrationMethod.ISOTONIC:
            isotonic = fit_isotonic(decided)
            return lambda parts: isotonic.probability(parts.confidence)
        case CalibrationMethod.LOGISTIC:
            return fit_logistic(decided).probability


def _figures(decided: Sequence[DecidedParts], probabilities: Sequence[float]) -> HeldOutFigures:
    outcomes = [
        Judged(probability, each.is_right) for each, probability in zip(decided, probabilities, strict=True)
    ]
    found = measure_reliability(outcomes)
    return HeldOutFigures(found.brier or 0.0, found.expected_calibration_error or 0.0)


@dataclass(slots=True)
class _Block:
    low: float
    high: float
    right: int
    count: int

    def is_above(self, other: "_Block") -> bool:
        """Whether its share of right ones is that of the other, or more. Exact: no rounding."""
        return self.right * other.count >= other.right * self.count

    def take_in(self, other: "_Block") -> None:
        self.high = other.high
        self.right += other.right
        self.count += other.count


def fit_isotonic(decided: Sequence[DecidedParts]) -> IsotonicMap:
    """The map from confidence to share of right ones that never falls and has the least squared error."""
    by_confidence: defaultdict[float, list[int]] = defaultdict(lambda: [0, 0])
    for each in decided:
        counts = by_confidence[each.parts.confidence]
        counts[0] += each.is_right
        counts[1] += 1
    blocks: list[_Block] = []
    for confidence, (right, count) in sorted(by_confidence.items()):
        blocks.append(_Block(confidence, confidence, right, count))
        while len(blocks) > 1 and blocks[-2].is_above(blocks[-1]):
            last = blocks.pop()
            blocks[-1].take_in(last)
    knots = [
        (confidence, block.right / block.count)
        for block in blocks
        for confidence in sorted({block.low, block.high})
    ]
    return IsotonicMap(tuple(knot[0] for knot in knots), tuple(knot[1] for knot in knots))


def fit_logistic(decided: Sequence[DecidedParts]) -> LogisticModel:
    """The weights of all parts; features are brought to one scale, so that the penalty is fair to all.

    There must be right ones and wrong ones: the intercept of either alone is infinite.
    """
    rows = [features_of(each.parts) for each in decided]
    names = sorted({name for row in rows for name in row})
    values = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    means, scales = values.mean(axis=0), values.std(axis=0)
    scales[scales == 0] = 1.0
    rights = np.array([each.is_right for each in decided], dtype=float)
    intercept, *weights = _newton((values - means) / scales, rights)
    weights_of = np.array(weights) / scales
    return LogisticModel(
        round(float(intercept - weights_of @ means), _DECIMALS),
        {name: round(float(weight), _DECIMALS) for name, weight in zip(names, weights_of, strict=True)},
    )


def _newton(values: npt.NDArray[np.float64], rights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Intercept and weights that make the penalised loss least; the intercept is not penalised.

    A step that does not lower it is halved. It is convex, so the first place without a step is the one.
    """
    rows = np.hstack([np.ones((len(values), 1)), values])
    penalties = np.full(rows.shape[1], _PENALTY)
    penalties[0] = 0.0

    def loss(weights: npt.NDArray[np.float64]) -> float:
        odds = rows @ weights
        return float(np.sum(np.logaddexp(0, odds) - rights * odds) + penalties @ weights**2 / 2)

    weights = np.zeros(rows.shape[1])
    for _ in range(_MOST_STEPS):
        probabilities = 1 / (1 + np.exp(-(rows @ weights)))
        slope = rows.T @ (probabilities - rights) + penalties * weights
        spread = probabilities * (1 - probabilities)
        step = np.linalg.solve((rows * spread[:, None]).T @ rows + np.diag(penalties), slope)
        while np.abs(step).max() > _SMALLEST_STEP and loss(weights - step) > loss(weights):
            step = step / 2
        if np.abs(step).max() <= _SMALLEST_STEP:
            break
        weights = weights - step
    return weights


def _thresholds(
    decided: Sequence[DecidedParts], probabilities: Sequence[float], costs: ActionCosts
) -> Iterator[LabelThreshold]:
    """The labels of which some suggestions are better held back."""
    by_label: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for each, probability in zip(decided, probabilities, strict=True):
        by_label[each.parts.label].append((probability, _saved(each.fate, costs)))
    for label, pairs in sorted(by_label.items()):
        found = _threshold(label, pairs) if len(pairs) >= FEWEST_OF_A_LABEL else None
        if found is not None:
            yield found


def _saved(fate: Fate, costs: ActionCosts) -> float:
    """What a suggestion saves: to add its span by hand, without what is done to it; below 0 if deleted."""
    return (0.0 if fate is Fate.DELETED else costs.add) - costs.total({fate: 1})


def _threshold(label: str, pairs: Sequence[tuple[float, float]]) -> LabelThreshold | None:
    """Held back is what costs most from the bottom up; of equally good thresholds the lowest one."""
    ordered = sorted(pairs)
    best, held_back = 0.0, 0
    for count, lost in enumerate(accumulate(saved for _, saved in ordered), start=1):
        is_between = count == len(ordered) or ordered[count - 1][0] < ordered[count][0]
        if is_between and lost < best:
            best, held_back = lost, count
    if not held_back:
        return None
    above = ordered[held_back][0] if held_back < len(ordered) else 1.0
    # Halfway: the final fit is not quite the one of any fold.
    threshold = round((ordered[held_back - 1][0] + above) / 2, _DECIMALS)
    return LabelThreshold(label, threshold, len(ordered), held_back, -best)
