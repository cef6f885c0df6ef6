"""Whether what was learned helps: the scheme before against the one after, on documents held out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from preannotation_assets.comparing.answering import answer_reviewed_pages
from preannotation_assets.comparing.prepared import prepare
from preannotation_assets.comparing.reviewed import not_learned_from
from preannotation_assets.evaluation.actions import ActionCosts
from preannotation_assets.evaluation.differences import score_differences
from preannotation_assets.evaluation.held_out import digest_of
from preannotation_assets.evaluation.judging import JudgedPage, judge
from preannotation_assets.evaluation.matching import Scheme
from preannotation_assets.evaluation.pages import ReviewedPage
from preannotation_assets.evaluation.paired import PairedDifference
from preannotation_assets.evaluation.scores import score_pages
from preannotation_assets.settings import Settings
from preannotation_assets.telemetry.stage_progress import ProgressDisplay

__all__ = ["HeldOutComparison", "compare_held_out", "draw_held_out"]


@dataclass(frozen=True, slots=True)
class HeldOutComparison:
    """Strict F1 of all labels with the scheme before and the one after, on the same held-out pages."""

    pages: int
    documents: int
    before: float | None
    after: float | None
    difference: PairedDifference

    def line(self) -> str:
        """What the new examples do, as far as these pages can tell."""
        return (
            f"outcome    the learned examples {self._words()}: strict F1 {_number(self.after)} instead of "
            f"{_number(self.before)}, {self.difference.words}, on {self.pages} held-out page(s) of "
            f"{self.documents} document(s)"
        )

    def _words(self) -> str:
        interval = self.difference.interval
        if interval is None:
            return "help or not, which these pages cannot tell"
        if interval.low > 0:
            return "help"
        return "do harm" if interval.high < 0 else "do not help measurably"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def draw_held_out(pages: Iterable[ReviewedPage], most: int) -> list[ReviewedPage]:
    """The same pages each time, ``most`` at most: those of the documents that come first by their digests."""
    in_order = sorted(pages, key=lambda page: (digest_of(page.doc_id), page.doc_id, page.page_num))
    return in_order[:most]


def compare_held_out(
    dataset: str,
    before: Settings,
    after: Settings,
    pages: Sequence[ReviewedPage],
    samples: int,
    progress: ProgressDisplay,
) -> HeldOutComparison:
    """Asks about held-out pages with both settings, what has an answer already not again.

    Raises:
        BatchError: a run is asking about the dataset, or no page is left.
        PreannotationError: what stands in the way of a run.
    """
    prepared = [prepare(settings, dataset) for settings in (before, after)]
    left = not_learned_from(pages, (each.scheme for each in prepared))
    answered = [answer_reviewed_pages(each, left, progress) for each in prepared]
    first, second = ([judge(page.page) for page in each.pages] for each in answered)
    return HeldOutComparison(
        pages=len(left),
        documents=len({page.doc_id for page in left}),
        before=_f1(first),
        after=_f1(second),
        difference=score_differences(first, second, ActionCosts(), samples).f1,
    )


def _f1(pages: Sequence[JudgedPage]) -> float | None:
    return score_pages(pages, ActionCosts(), 0).overall(Scheme.STRICT).f1.value
