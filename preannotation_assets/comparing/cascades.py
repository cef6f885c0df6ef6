"""A cascade of two compared variants: which threshold of the small one is worth it."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from preannotation_assets.comparing.answered_pages import AnsweredPage
from preannotation_assets.evaluation.bootstrap import Interval
from preannotation_assets.evaluation.cascade_curve import (
    CascadePage,
    CurvePoint,
    HeldOutChoice,
    PageChoice,
    cascade_curve,
    choose_threshold,
)
from preannotation_assets.evaluation.judging import ALL_LABELS, JudgedPage, judge
from preannotation_assets.evaluation.matching import Scheme
from preannotation_assets.evaluation.scores import Figure
from preannotation_assets.extraction.calibrated import Calibration
from preannotation_assets.extraction.cascade import (
    CHOSEN_DOUBTS,
    LEAST_AGREEMENT,
    CascadeRule,
    Doubt,
    SmallAnswer,
)
from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.extraction.values import Verdict
from preannotation_assets.overview.tables import aligned
from preannotation_assets.publishing.shown_ids import counted, shown_id

__all__ = ["PRICES", "CascadeRequest", "ComparedCascade", "FilledShare", "compare_cascade"]

PRICES: Final = (0.1, 0.25, 0.5, 1.0, 2.0)
"""What a second of the small model's servers may cost, in seconds of the large one's."""

_AT_REST: Final = -1.0
_MOST_SHOWN: Final = 12
# The normal quantile of an interval of 95 %.
_STANDARD_ERRORS: Final = 1.959964


@dataclass(frozen=True, slots=True)
class CascadeRequest:
    """The variants that are asked first and after it, and the doubts that count, as a setting has them."""

    small: str
    large: str
    doubts: tuple[str, ...]

    @property
    def rule(self) -> CascadeRule:
        """What is asked of the large one at threshold 0."""
        return CascadeRule(0.0, CHOSEN_DOUBTS - {Doubt(doubt) for doubt in self.doubts})


@dataclass(frozen=True, slots=True)
class FilledShare:
    """Of so many empty answers of the small model how many are of pages on which experts marked something.

    ``interval`` is Wilson's (1927), None without any.
    """

    empty: int
    filled: int
    interval: Interval | None

    @classmethod
    def of(cls, empty: int, filled: int) -> "FilledShare":
        """With its interval."""
        if not empty:
            return cls(0, 0, None)
        square = _STANDARD_ERRORS**2
        share, width = filled / empty, 1 + square / empty
        middle = (share + square / (2 * empty)) / width
        half = _STANDARD_ERRORS / width * math.sqrt(share * (1 - share) / empty + square / (4 * empty**2))
        return cls(empty, filled, Interval(max(0.0, middle - half), min(1.0, middle + half)))


@dataclass(frozen=True, slots=True)
class ComparedCascade:
    """What every threshold would come to. Pages whose seconds are not known for both are left out.

    ``doubted`` counts the pages that the large model is asked about at every threshold, by the reason.
    ``choices`` has the threshold that saves most for each price, and what it comes to on other documents.
    """

    small: str
    large: str
    pages: int
    untimed: int
    doubted: Mapping[str, int]
    empty: FilledShare
    curve: tuple[CurvePoint, ...]
    choices: tuple[HeldOutChoice, ...]

    def lines(self) -> Iterator[str]:
        """The curve and the choices, as tables. Names, counts and figures only."""
        yield f"cascade  {shown_id(self.small)} first, then {shown_id(self.large)}; {self.pages} pages" + (
            f", times of {self.untimed} more are unknown" if self.untimed else ""
        )
        if self.doubted:
            yield f"always   {counted(Counter(self.doubted))}"
        if self.empty.interval:
            low, high = self.empty.interval.low, self.empty.interval.high
            yield (
                f"empty    {shown_id(self.small)} named nothing on {self.empty.empty} pages, experts marked"
                f" something on {self.empty.filled} of them ({low:.0%}-{high:.0%})"
            )
        if self.curve:
            yield ""
            yield from aligned([_CURVE_HEAD, *map(_curve_cells, _thinned(self.curve))])
            yield ""
            yield from aligned([_CHOICE_HEAD, *map(_choice_cells, self.choices)])
            yield ""
            yield "asked, saved: of the large model's seconds; price: of a second of the small one's servers"
            yield "saved, lost at a price: of each half of the documents, threshold picked on the other half"


def compare_cascade(
    request: CascadeRequest,
    small: Sequence[AnsweredPage],
    large: Sequence[AnsweredPage],
    calibration: Calibration | None,
    samples: int,
) -> ComparedCascade:
    """What a cascade of two variants would come to on the pages that both have answered.

    ``calibration`` is that of the small one. A page is asked about as a whole: where one of several chunks is
    doubtful a run asks less than is told here.
    """
    timed = [
        (first, second)
        for first, second in zip(small, large, strict=True)
        if first.cost.server_seconds is not None and second.cost.server_seconds is not None
    ]
    answers = [_small_answer(first, calibration) for first, _ in timed]
    doubts = [request.rule.doubt(answer) for answer in answers]
    pages = [
        _page(first, second, answer, doubt)
        for (first, second), answer, doubt in zip(timed, answers, doubts, strict=True)
    ]
    empty = [first for (first, _), answer in zip(timed, answers, strict=True) if Doubt.EMPTY in answer.doubts]
    return ComparedCascade(
        small=request.small,
        large=request.large,
        pages=len(pages),
        untimed=len(small) - len(timed),
        doubted=dict(Counter(doubt.value for doubt in doubts if doubt is not None)),
        empty=FilledShare.of(len(empty), sum(bool(page.page.gold) for page in empty)),
        curve=tuple(cascade_curve(pages, samples)),
        choices=tuple(choose_threshold(pages, samples, price) for price in PRICES),
    )


def _small_answer(answered: AnsweredPage, calibration: Calibration | None) -> SmallAnswer:
    """The answer about a page, as ``SmallAnswer.of`` has it of a chunk."""
    page = answered.page
    if page.failure is not None:
        return SmallAnswer.missing(Doubt.NOT_ANSWERED)
    kept = [quote for quote in page.quotes if quote.outcome is QuoteOutcome.KEPT]
    parts = list(answered.parts.values())
    doubts = {
        Doubt.EMPTY: not kept,
        Doubt.NOT_GROUNDED: any(not quote.outcome.is_grounded for quote in page.quotes),
        Doubt.INVALID_VALUE: any(quote.outcome is QuoteOutcome.INVALID_VALUE for quote in page.quotes)
        or any(each.verdict == Verdict.INVALID for each in parts),
        Doubt.DISAGREEMENT: any(
            each.agreement is not None and each.agreement < LEAST_AGREEMENT for each in parts
        ),
        Doubt.UNKNOWN_CONFIDENCE: len(parts) < len(kept),
    }
    known = [calibration.probability(each) if calibration else each.confidence for each in parts]
    return SmallAnswer(
        frozenset(doubt for doubt, is_there in doubts.items() if is_there),
        min(known) if known and len(parts) == len(kept) else None,
    )


def _page(small: AnsweredPage, large: AnsweredPage, answer: SmallAnswer, doubt: Doubt | None) -> CascadePage:
    alone = _choice(_AT_REST, judge(large.page), large.cost.server_seconds or 0.0)
    kept = _choice(_AT_REST, judge(small.page), 0.0)
    choices = [kept if doubt is None else alone]
    if doubt is None and answer.lowest is not None:
        choices.append(replace(alone, above=answer.lowest))
    return CascadePage(
        doc_id=small.page.doc_id,
        gold=len(small.page.gold),
        small_seconds=small.cost.server_seconds or 0.0,
        large=alone,
        choices=tuple(choices),
    )


def _choice(above: float, judged: JudgedPage, large_seconds: float) -> PageChoice:
    counts = judged.kinds[ALL_LABELS, Scheme.STRICT]
    return PageChoice(above, counts.correct, counts.actual, large_seconds)


_CURVE_HEAD: Final = ("threshold", "F1", "lost", "asked", "saved")
_CHOICE_HEAD: Final = ("price", "threshold", "saved", "lost")


def _thinned(curve: Sequence[CurvePoint]) -> Sequence[CurvePoint]:
    """Some of them, the first and the last too."""
    if len(curve) <= _MOST_SHOWN:
        return curve
    step = (len(curve) - 1) / (_MOST_SHOWN - 1)
    return [curve[round(number * step)] for number in range(_MOST_SHOWN)]


def _curve_cells(point: CurvePoint) -> Sequence[str]:
    asked = "-" if point.asked is None else f"{point.asked:.0%}"
    return f"{point.threshold:g}", point.f1.words, point.lost.words, asked, _share(point.saved)


def _choice_cells(choice: HeldOutChoice) -> Sequence[str]:
    price, picked, held_out = f"{choice.price:g}", choice.picked, choice.held_out
    if picked is None:
        return price, "none", "-", "-"
    if held_out is None:
        return price, f"{picked.threshold:g}", "-", "-"
    return price, f"{picked.threshold:g}", _share(held_out.saved), held_out.lost.words


def _share(figure: Figure) -> str:
    if figure.value is None:
        return "-"
    between = f" ({figure.interval.low:.0%} to {figure.interval.high:.0%})" if figure.interval else ""
    return f"{figure.value:.0%}{between}"
