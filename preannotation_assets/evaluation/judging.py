"""A reviewed page, judged: all that the figures of an evaluation are made of, without its text."""

from collections.abc import Mapping
from dataclasses import dataclass

from preannotation_assets.evaluation.actions import PageActions, infer_actions
from preannotation_assets.evaluation.losses import Loss, losses_of
from preannotation_assets.evaluation.matching import KindCounts, Scheme, count_kinds
from preannotation_assets.evaluation.pages import ReviewedPage

__all__ = ["ALL_LABELS", "JudgedPage", "judge"]

ALL_LABELS = ""
"""In the place of a label: all of them together. No scheme and no response that counts has an empty one."""


@dataclass(frozen=True, slots=True)
class JudgedPage:
    """What became of a page; ``losses`` has a stage for each span in ``actions.added``.

    ``kinds`` is by label, or ``ALL_LABELS``, and scheme. As nervaluate does, a label is judged with the spans
    of it alone, so that a suggestion of the wrong label is missed in one and spurious in the other; over all
    labels OVERLAP takes any label for right.
    """

    doc_id: str
    page_num: int
    gold: int
    kinds: Mapping[tuple[str, Scheme], KindCounts]
    actions: PageActions
    losses: tuple[Loss, ...]


def judge(page: ReviewedPage) -> JudgedPage:
    """Holds the suggestions of a page against its gold."""
    labels = {mark.label for mark in (*page.gold, *page.suggested)}
    kinds = {(ALL_LABELS, scheme): count_kinds(scheme, page.gold, page.suggested) for scheme in Scheme}
    for label in labels:
        gold = [mark for mark in page.gold if mark.label == label]
        suggested = [mark for mark in page.suggested if mark.label == label]
        kinds |= {(label, scheme): count_kinds(scheme, gold, suggested) for scheme in Scheme}
    actions = infer_actions(page.gold, page.suggested)
    return JudgedPage(
        page.doc_id,
        page.page_num,
        len(page.gold),
        kinds,
        actions,
        losses_of(page, actions.added),
    )
