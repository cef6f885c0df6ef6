"""What a cascade's threshold costs and saves, on reviewed pages that both models have answered. Pure.

For every threshold the F1 of what would be published, beside the seconds that would have been spent. A
threshold that is picked on some pages looks better there than elsewhere, so what it is told to save and lose
is held out: each half of the documents with the threshold that was picked on the other half.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from preannotation_assets.evaluation.bootstrap import Ratios, difference_intervals, ratio_intervals
from preannotation_assets.evaluation.scores import Figure

__all__ = [
    "MOST_LOST",
    "CascadePage",
    "CurvePoint",
    "HeldOutChoice",
    "PageChoice",
    "cascade_curve",
    "choose_threshold",
    "halves",
]

MOST_LOST: Final = 0.005
"""How much F1 may be lost, unless said: half a point."""

_MOST_POINTS: Final = 100
_SEED: Final = 1
_COLUMNS: Final = 8
# Thresholds are told and set with so many decimals.
_DECIMALS: Final = 3


@dataclass(frozen=True, slots=True)
class PageChoice:
    """What would be published of a page at thresholds above ``above``, until the next choice.

    ``right`` of the ``suggested`` spans are right; ``large_seconds`` is what the large model would take for
    the chunks that it is asked about.
    """

    above: float
    right: int
    suggested: int
    large_seconds: float


@dataclass(frozen=True, slots=True)
class CascadePage:
    """A reviewed page: the spans of the gold, and what each threshold makes of it.

    ``choices`` rise with ``above``; the first one is that of threshold 0. ``small_seconds`` is what the small
    model took for all of it. ``large`` is what it is without a cascade.
    """

    doc_id: str
    gold: int
    small_seconds: float
    large: PageChoice
    choices: tuple[PageChoice, ...]

    def at(self, threshold: float) -> PageChoice:
        """What is published at a threshold."""
        reached = [choice for choice in self.choices if choice.above < threshold]
        return reached[-1] if reached else self.choices[0]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A threshold: its F1, the F1 that it loses against the large model alone, and what is saved.

    ``saved`` is the share of the large model's cost without a cascade; below 0 the cascade costs more.
    ``asked`` is the share of the large model's seconds that are still spent.
    """

    threshold: float
    f1: Figure
    lost: Figure
    saved: Figure
    asked: float | None


@dataclass(frozen=True, slots=True)
class HeldOutChoice:
    """The threshold that saves most and loses at most ``most_lost``, and what to expect of picking it so.

    ``picked`` was picked on all documents and has their figures; None where no threshold loses little enough
    and saves anything: then the large model alone is better. ``held_out`` has those of each half with the
    threshold that was picked on the other one, under the threshold of ``picked``.
    """

    most_lost: float
    price: float
    picked: CurvePoint | None
    held_out: CurvePoint | None


_AtThreshold = tuple[Sequence[CascadePage], float | None]
"""Pages and their threshold; None leaves them to the large model alone."""


def cascade_curve(
    pages: Sequence[CascadePage], samples: int, price: float = 1.0, thresholds: Iterable[float] = ()
) -> list[CurvePoint]:
    """A point for every threshold that makes a difference, up to about 100 of them, or for those given.

    ``price`` is what a second of the small model's servers costs, in seconds of the large one's; intervals
    are over ``samples`` draws of documents.
    """
    if not pages:
        return []
    return [
        _point([(pages, threshold)], threshold, price, samples)
        for threshold in thresholds or _thresholds(pages)
    ]


def choose_threshold(
    pages: Sequence[CascadePage], samples: int, price: float = 1.0, most_lost: float = MOST_LOST
) -> HeldOutChoice:
    """Picks the threshold that saves most and loses at most that much F1.

    Of thresholds that save the same the higher one is taken, which asks the large model more. A half on which
    none can be picked leaves the other half to the large model alone.
    """
    picked, (one, other) = _pick(pages, price, most_lost), halves(pages)
    if picked is None or not other:
        return HeldOutChoice(most_lost, price, picked, None)
    crossed: list[_AtThreshold] = []
    for told, fitted in ((one, other), (other, one)):
        found = _pick(fitted, price, most_lost)
        crossed.append((told, found.threshold if found else None))
    return HeldOutChoice(most_lost, price, picked, _point(crossed, picked.threshold, price, samples))


def _pick(pages: Sequence[CascadePage], price: float, most_lost: float) -> CurvePoint | None:
    fit = [point for point in cascade_curve(pages, 0, price) if _is_good(point, most_lost)]
    return max(fit, key=lambda point: (point.saved.value or 0.0, point.threshold), default=None)


def halves(pages: Sequence[CascadePage]) -> tuple[list[CascadePage], list[CascadePage]]:
    """Two halves of the documents, the same ones each time; a document is in one of them as a whole."""
    names = sorted({page.doc_id for page in pages}, key=lambda name: hashlib.sha256(name.encode()).digest())
    first = set(names[: (len(names) + 1) // 2])
    return [page for page in pages if page.doc_id in first], [
        page for page in pages if page.doc_id not in first
    ]


def _is_good(point: CurvePoint, most_lost: float) -> bool:
    lost, saved = point.lost.value, point.saved.value
    return lost is not None and saved is not None and lost <= most_lost and saved > 0


def _thresholds(pages: Sequence[CascadePage]) -> list[float]:
    """0, and the least that is told with the decimals above each value at which something changes."""
    scale = 10**_DECIMALS
    steps = {min(scale, int(choice.above * scale) + 1) for page in pages for choice in page.choices[1:]}
    ordered = sorted(step for step in steps if step > 0)
    stride = -(-len(ordered) // _MOST_POINTS) or 1
    return [0.0, *(step / scale for step in ordered[::-1][::stride][::-1])]


def _point(groups: Sequence[_AtThreshold], threshold: float, price: float, samples: int) -> CurvePoint:
    sums = _by_document(groups, price)
    total = sums.sum(axis=0)
    # F1, that of the large model alone, what is saved, what is asked of the large model: parts and wholes.
    ratios = Ratios(sums[:, ::2], sums[:, 1::2])
    own, alone = (Ratios(ratios.parts[:, [column]], ratios.wholes[:, [column]]) for column in (0, 1))
    drawn = ratio_intervals(ratios, samples, _SEED)
    f1, large, saved, asked = (_ratio(total[place], total[place + 1]) for place in range(0, _COLUMNS, 2))
    return CurvePoint(
        threshold=threshold,
        f1=Figure(f1, drawn[0]),
        lost=Figure(
            None if f1 is None or large is None else large - f1,
            difference_intervals(own, alone, samples, _SEED)[0],
        ),
        saved=Figure(saved, drawn[2]),
        asked=asked,
    )


def _by_document(groups: Sequence[_AtThreshold], price: float) -> npt.NDArray[np.float64]:
    """A row a document: parts and wholes of the four ratios in turn."""
    rows: defaultdict[str, npt.NDArray[np.float64]] = defaultdict(lambda: np.zeros(_COLUMNS))
    for pages, threshold in groups:
        for page in pages:
            rows[page.doc_id] += _of_page(page, threshold, price)
    return np.array([rows[name] for name in sorted(rows)])


def _of_page(page: CascadePage, threshold: float | None, price: float) -> tuple[float, ...]:
    large = page.large
    choice = large if threshold is None else page.at(threshold)
    small_seconds = 0.0 if threshold is None else page.small_seconds
    return (
        2 * choice.right,
        page.gold + choice.suggested,
        2 * large.right,
        page.gold + large.suggested,
        large.large_seconds - price * small_seconds - choice.large_seconds,
        large.large_seconds,
        choice.large_seconds,
        large.large_seconds,
    )


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None
