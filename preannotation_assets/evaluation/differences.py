"""How two sets of suggestions for the same reviewed pages differ in what they are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from preannotation_assets.evaluation.actions import ActionCosts
from preannotation_assets.evaluation.bootstrap import Interval
from preannotation_assets.evaluation.judging import ALL_LABELS, JudgedPage
from preannotation_assets.evaluation.matching import Scheme
from preannotation_assets.evaluation.paired import PairedDifference, paired_differences
from preannotation_assets.evaluation.scores import RATIOS_A_KEY, SEED, count_documents, score_ratios

__all__ = ["ScoreDifferences", "score_differences"]


@dataclass(frozen=True, slots=True)
class ScoreDifferences:
    """The strict scores of the second less those of the first, over all labels; F1 by label too."""

    precision: PairedDifference
    recall: PairedDifference
    f1: PairedDifference
    actions_saved: PairedDifference
    f1_by_label: Mapping[str, PairedDifference]


def score_differences(
    first: Sequence[JudgedPage], second: Sequence[JudgedPage], costs: ActionCosts, samples: int
) -> ScoreDifferences:
    """Compares what two settings suggest on the same pages.

    Raises:
        ValueError: they are not of the same pages.
    """
    if _keys(first) != _keys(second):
        raise ValueError("two sets of suggestions are of different pages")
    labels = sorted({label for page in (*first, *second) for label, _ in page.kinds} - {ALL_LABELS})
    keys = [(label, Scheme.STRICT) for label in (ALL_LABELS, *labels)]
    before, after = (score_ratios(count_documents(pages), keys, costs) for pages in (first, second))
    precision, recall, f1, *of_labels, unsaved = paired_differences(before, after, samples, SEED)
    return ScoreDifferences(
        precision=precision,
        recall=recall,
        f1=f1,
        actions_saved=_negative(unsaved),
        f1_by_label=dict(zip(labels, of_labels[RATIOS_A_KEY - 1 :: RATIOS_A_KEY], strict=True)),
    )


def _keys(pages: Sequence[JudgedPage]) -> list[tuple[str, int]]:
    return sorted((page.doc_id, page.page_num) for page in pages)


def _negative(unsaved: PairedDifference) -> PairedDifference:
    interval = unsaved.interval and Interval(-unsaved.interval.high, -unsaved.interval.low)
    value = None if unsaved.value is None else 0.0 - unsaved.value
    return PairedDifference(value, interval, unsaved.p_value)
