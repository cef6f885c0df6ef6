"""What all judged pages come to: scores, actions, losses, confusion, reliability, with intervals."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from preannotation_assets.evaluation.actions import ADDED, ActionCosts, Fate, actions_saved
from preannotation_assets.evaluation.bootstrap import Interval, Ratios, ratio_intervals
from preannotation_assets.evaluation.judging import ALL_LABELS, JudgedPage
from preannotation_assets.evaluation.losses import Loss
from preannotation_assets.evaluation.matching import KindCounts, Scheme
from preannotation_assets.evaluation.reliability import Judged, Reliability, judged, measure_reliability

__all__ = [
    "RATIOS_A_KEY",
    "SEED",
    "Confusion",
    "DocumentCounts",
    "Figure",
    "Savings",
    "Score",
    "Scores",
    "count_documents",
    "score_pages",
    "score_ratios",
]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and its interval; both None where there is nothing to divide by."""

    value: float | None
    interval: Interval | None

    @property
    def words(self) -> str:
        """With three decimals, its interval behind it."""
        if self.value is None:
            return "-"
        if self.interval is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.interval.low:.3f}-{self.interval.high:.3f})"


@dataclass(frozen=True, slots=True)
class Score:
    """How one label, or all (``ALL_LABELS``), came out in one scheme."""

    label: str
    scheme: Scheme
    counts: KindCounts
    precision: Figure
    recall: Figure
    f1: Figure


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often a span of the label ``gold`` was suggested as ``suggested``.

    None of the one is a suggestion that was deleted, None of the other a span that was added.
    """

    gold: str | None
    suggested: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Savings:
    """Actions with the suggestions and from nothing, and the share that is saved."""

    costs: ActionCosts
    with_suggestions: float
    from_nothing: float
    saved: Figure


@dataclass(frozen=True, slots=True)
class Scores:
    """All figures. ``actions`` is by ``Fate`` and ``ADDED``, ``losses`` by ``Loss``, each of them also at 0.

    By label, what did not occur is left out.
    """

    documents: int
    pages: int
    gold: int
    suggested: int
    scores: tuple[Score, ...]
    actions: Mapping[str, int]
    actions_by_label: Mapping[str, Mapping[str, int]]
    savings: Savings
    losses: Mapping[str, int]
    losses_by_label: Mapping[str, Mapping[str, int]]
    confusion: tuple[Confusion, ...]
    reliability: Reliability

    def overall(self, scheme: Scheme) -> Score:
        """That of all labels together."""
        return next(each for each in self.scores if (each.label, each.scheme) == (ALL_LABELS, scheme))

    @property
    def by_label(self) -> list[Score]:
        """The strict one of each label, by name."""
        return [each for each in self.scores if each.label != ALL_LABELS and each.scheme is Scheme.STRICT]


@dataclass(slots=True)
class DocumentCounts:
    """What the pages of a document come to; ``kinds`` is as that of a page."""

    kinds: defaultdict[tuple[str, Scheme], KindCounts] = field(
        default_factory=lambda: defaultdict(KindCounts)
    )
    actions: Counter[str] = field(default_factory=Counter)
    gold: int = 0


RATIOS_A_KEY: Final = 3
"""Of the ratios of a document: precision, recall and F1 of each key, then what is not saved."""
SEED: Final = 1
"""By which documents are drawn: the same ones each time."""


def score_pages(pages: Iterable[JudgedPage], costs: ActionCosts, samples: int) -> Scores:
    """Adds pages up and draws intervals over so many samples of their documents."""
    judged_pages = list(pages)
    ordered = count_documents(judged_pages)
    keys = sorted({key for document in ordered for key in document.kinds} | set(_keys_of_all()))
    total = _sum(ordered)
    intervals = ratio_intervals(score_ratios(ordered, keys, costs), samples, SEED)
    return Scores(
        documents=len(ordered),
        pages=len(judged_pages),
        gold=total.gold,
        suggested=total.kinds[ALL_LABELS, Scheme.STRICT].actual,
        scores=tuple(
            _score(key, total.kinds[key], intervals[RATIOS_A_KEY * number :][:RATIOS_A_KEY])
            for number, key in enumerate(keys)
        ),
        actions={name: total.actions[name] for name in (*Fate, ADDED)},
        actions_by_label=_by_label(judged_pages),
        savings=_savings(total, costs, intervals[-1]),
        losses=_losses(judged_pages),
        losses_by_label=_losses_by_label(judged_pages),
        confusion=_confusion(judged_pages),
        reliability=_reliability(judged_pages),
    )


def count_documents(pages: Iterable[JudgedPage]) -> list[DocumentCounts]:
    """The pages added up by document, in one order, so that the same documents are drawn alike."""
    documents: defaultdict[str, DocumentCounts] = defaultdict(DocumentCounts)
    for page in pages:
        _add(documents[page.doc_id], page)
    return [documents[name] for name in sorted(documents)]


def _keys_of_all() -> list[tuple[str, Scheme]]:
    return [(ALL_LABELS, scheme) for scheme in Scheme]


def _add(document: DocumentCounts, page: JudgedPage) -> None:
    for key, counts in page.kinds.items():
        document.kinds[key] += counts
    document.actions.update(page.actions.counts)
    document.gold += page.gold


def _sum(documents: Iterable[DocumentCounts]) -> DocumentCounts:
    total = DocumentCounts()
    for document in documents:
        for key, counts in document.kinds.items():
            total.kinds[key] += counts
        total.actions.update(document.actions)
        total.gold += document.gold
    return total


def score_ratios(
    documents: Sequence[DocumentCounts], keys: Sequence[tuple[str, Scheme]], costs: ActionCosts
) -> Ratios:
    """Above and below the line of every figure: of each key ``RATIOS_A_KEY``, then of what is not saved."""
    parts = np.zeros((len(documents), RATIOS_A_KEY * len(keys) + 1))
    wholes = np.zeros_like(parts)
    for row, document in enumerate(documents):
        for number, key in enumerate(keys):
            if key in document.kinds:
                place = slice(RATIOS_A_KEY * number, RATIOS_A_KEY * (number + 1))
                counts = document.kinds[key]
                parts[row, place] = counts.right, counts.right, 2 * counts.right
                wholes[row, place] = counts.actual, counts.possible, counts.actual + counts.possible
        parts[row, -1] = costs.total(document.actions)
        wholes[row, -1] = costs.from_nothing(document.gold)
    return Ratios(parts, wholes)


def _score(key: tuple[str, Scheme], counts: KindCounts, intervals: Sequence[Interval | None]) -> Score:
    precision, recall, f1 = intervals
    return Score(
        *key,
        counts,
        Figure(_ratio(counts.right, counts.actual), precision),
        Figure(_ratio(counts.right, counts.possible), recall),
        Figure(_ratio(2 * counts.right, counts.actual + counts.possible), f1),
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _savings(total: DocumentCounts, costs: ActionCosts, unsaved: Interval | None) -> Savings:
    spent, from_nothing = costs.total(total.actions), costs.from_nothing(total.gold)
    interval = None if unsaved is None else Interval(1 - unsaved.high, 1 - unsaved.low)
    return Savings(costs, spent, from_nothing, Figure(actions_saved(spent, from_nothing), interval))


def _by_label(pages: Sequence[JudgedPage]) -> dict[str, dict[str, int]]:
    """Of the label that was suggested; of what was added, of the label that the expert chose."""
    counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for page in pages:
        for decision in page.actions.decisions:
            counted[decision.suggestion.label][decision.fate] += 1
        for mark in page.actions.added:
            counted[mark.label][ADDED] += 1
    return _plain(counted)


def _losses(pages: Sequence[JudgedPage]) -> dict[str, int]:
    counted = Counter(loss for page in pages for loss in page.losses)
    return {loss: counted[loss] for loss in Loss}


def _losses_by_label(pages: Sequence[JudgedPage]) -> dict[str, dict[str, int]]:
    counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for page in pages:
        for mark, loss in zip(page.actions.added, page.losses, strict=True):
            counted[mark.label][loss] += 1
    return _plain(counted)


def _plain(counted: Mapping[str, Counter[str]]) -> dict[str, dict[str, int]]:
    return {label: dict(sorted(counts.items())) for label, counts in sorted(counted.items())}


def _confusion(pages: Sequence[JudgedPage]) -> tuple[Confusion, ...]:
    counted: Counter[tuple[str | None, str | None]] = Counter()
    for page in pages:
        for decision in page.actions.decisions:
            gold = None if decision.gold is None else decision.gold.label
            counted[gold, decision.suggestion.label] += 1
        counted.update((mark.label, None) for mark in page.actions.added)
    return tuple(
        Confusion(gold, suggested, count)
        for (gold, suggested), count in sorted(
            counted.items(), key=lambda item: (item[0][0] or "", item[0][1] or "")
        )
    )


def _reliability(pages: Sequence[JudgedPage]) -> Reliability:
    outcomes: list[Judged] = []
    decisions = 0
    for page in pages:
        outcomes += judged(page.actions.decisions)
        decisions += len(page.actions.decisions)
    return measure_reliability(outcomes, decisions - len(outcomes))
