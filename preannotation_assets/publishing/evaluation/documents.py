"""The report of an evaluation as one HTML file: figures, plots, and experts beside the model page by page."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from preannotation_assets.evaluation.actions import ADDED, Fate
from preannotation_assets.evaluation.judging import JudgedPage
from preannotation_assets.evaluation.losses import Loss
from preannotation_assets.evaluation.matching import Scheme
from preannotation_assets.evaluation.pages import ReviewedPage
from preannotation_assets.evaluation.scores import Scores
from preannotation_assets.extraction.labels import LabelScheme, label_colours, text_colour_on
from preannotation_assets.extraction.segments import Mark, Segment, segments
from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.publishing.evaluation.plots import SIDE, reliability_bars, risk_line, savings_line
from preannotation_assets.publishing.evaluation.results import Evaluation, empty_words
from preannotation_assets.publishing.html_files import content_policy, template_environment
from preannotation_assets.publishing.shown_ids import shown_id
from preannotation_assets.temporary_folders import temporary_file

__all__ = [
    "MOST_BYTES",
    "ReportPages",
    "ShownMark",
    "action_words",
    "failure_words",
    "model_marks",
    "report_script",
    "report_style",
    "write_report",
]

MOST_BYTES: Final = 30_000_000
"""Of the pages in a report; those behind the one that passes it are counted and not shown."""

_PACKAGE: Final = "preannotation_assets.publishing.evaluation"
KIND_WORDS: Final = {
    Fate.KEPT: "kept",
    Fate.BORDER_MOVED: "border moved",
    Fate.LABEL_CHANGED: "label changed",
    Fate.BOTH_CHANGED: "border and label changed",
    Fate.DELETED: "deleted by the expert",
    ADDED: "added by the expert",
}
LOSS_WORDS: Final = {
    Loss.PAGE_FAILED: "the page failed",
    Loss.NOT_ANSWERED: "the model did not name it",
    Loss.NOT_GROUNDED: "named, and not found on the page",
    Loss.DROPPED: "found, and dropped for another",
    Loss.CUT_BY_RULE: "cut by a rule",
    Loss.HELD_BACK: "below the threshold of its label",
}


@dataclass(frozen=True, slots=True)
class ShownMark(Mark):
    """A mark with what is said of it: a ``Fate`` or ADDED, and words for its tag."""

    kind: str
    words: str


class ReportPages:
    """Reviewed pages as HTML in a local file; those behind a size are counted only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path.touch(0o600)
        self._template = template_environment(_PACKAGE).get_template("page.html.jinja")
        self._bytes = 0
        # A number for each label that was shown, by which the style colours it.
        self.numbers: dict[str, int] = {}
        self.shown = 0
        self.left_out = 0
        self.kinds: Counter[str] = Counter()

    def add(self, page: ReviewedPage, judged: JudgedPage) -> None:
        """Adds a page with the experts' marks beside the model's, if there is room."""
        counts = judged.actions.counts
        facts = action_words(judged)
        sides = [("expert", _expert_marks(judged)), ("model", model_marks(judged))]
        self.add_sides(page, list(counts), [*facts, *failure_words(page)], sides)

    def add_sides(
        self,
        page: ReviewedPage,
        kinds: Sequence[str],
        facts: Sequence[str],
        sides: Sequence[tuple[str, Sequence[ShownMark]]],
    ) -> None:
        """Adds a page with any number of sides, if there is room; it is found by its ``kinds``."""
        if self._bytes >= MOST_BYTES:
            self.left_out += 1
            return
        html = self._template.render(
            page=page,
            numbers=self.numbers,
            kinds=kinds,
            facts=facts,
            sides=[(side, self._pieces(page, marks)) for side, marks in sides],
        )
        self.shown += 1
        self.kinds.update(kinds)
        with self._path.open("a", encoding="utf-8", newline="") as file:
            file.write(html)
        self._bytes += len(html.encode("utf-8"))

    def _pieces(self, page: ReviewedPage, marks: Sequence[ShownMark]) -> Iterator[Segment[ShownMark]]:
        for mark in marks:
            self.numbers.setdefault(mark.label, len(self.numbers))
        return segments(page.text, marks)

    def html(self) -> Iterator[str]:
        """The pages, piece by piece."""
        with self._path.open(encoding="utf-8", newline="") as file:
            while piece := file.read(1 << 20):
                yield piece


def action_words(judged: JudgedPage) -> list[str]:
    """What was done on a page, with counts."""
    counts = judged.actions.counts
    return [f"{KIND_WORDS[kind]} {counts[kind]}" for kind in KIND_WORDS if counts[kind]]


def failure_words(page: ReviewedPage) -> list[str]:
    """That a page failed, and why; nothing where it did not."""
    return [] if page.failure is None else [f"failed: {shown_id(page.failure)}"]


def _expert_marks(judged: JudgedPage) -> list[ShownMark]:
    marks = [
        ShownMark(
            decision.gold.start,
            decision.gold.end,
            decision.gold.label,
            decision.fate,
            f"suggested as {decision.suggestion.label}"
            if decision.gold.label != decision.suggestion.label
            else "",
        )
        for decision in judged.actions.decisions
        if decision.gold is not None
    ]
    return marks + [
        ShownMark(mark.start, mark.end, mark.label, ADDED, LOSS_WORDS[loss])
        for mark, loss in zip(judged.actions.added, judged.losses, strict=True)
    ]


def model_marks(judged: JudgedPage) -> list[ShownMark]:
    """The suggestions of a page, each with its confidence and what became of it."""
    return [
        ShownMark(
            decision.suggestion.start,
            decision.suggestion.end,
            decision.suggestion.label,
            decision.fate,
            "" if decision.suggestion.confidence is None else f"{decision.suggestion.confidence:.2f}",
        )
        for decision in judged.actions.decisions
    ]


@dataclass(frozen=True, slots=True)
class ConfusionTable:
    """How often a label of the gold, the first of a pair, was suggested as which; the last name is none."""

    names: tuple[str | None, ...]
    counts: Mapping[tuple[str | None, str | None], int]

    @classmethod
    def of(cls, scores: Scores) -> "ConfusionTable":
        """What was taken for what."""
        cells = {(cell.gold, cell.suggested): cell.count for cell in scores.confusion}
        named = sorted({name for pair in cells for name in pair if name is not None})
        return cls((*named, None), cells)


def write_report(
    store: ObjectStore,
    layout: DatasetLayout,
    evaluation: Evaluation,
    scheme: LabelScheme,
    pages: ReportPages,
) -> None:
    """Writes the report into the working data of the lake.

    Raises:
        StorageError: the lake cannot be written.
    """
    scores = evaluation.scores
    style, script = report_style(scheme, pages), report_script()
    values = {
        "evaluation": evaluation,
        "scores": scores,
        "csp": content_policy(style, script),
        "style": style,
        "script": script,
        "numbers": pages.numbers,
        "empty": empty_words(evaluation.empty_pages),
        "savings": savings_line(evaluation.empty_pages.curve),
        "kind_words": KIND_WORDS,
        "loss_words": LOSS_WORDS,
        "overall": [scores.overall(scheme) for scheme in Scheme],
        "by_label": scores.by_label,
        "confusion": ConfusionTable.of(scores),
        "side": SIDE,
        "bars": reliability_bars(scores.reliability.bins),
        "risk": risk_line(scores.reliability.risk),
        "pages": pages,
    }
    with temporary_file("report.html") as path:
        with path.open("w", encoding="utf-8", newline="") as target:
            for piece in template_environment(_PACKAGE).get_template("report.html.jinja").generate(values):
                target.write(piece)
        store.upload(layout.evaluation_report, path)


def report_style(scheme: LabelScheme, pages: ReportPages) -> str:
    """The style of reports, with the colours of the labels that are shown on pages."""
    return _source("evaluation.css") + _label_rules(scheme, pages.numbers)


def report_script() -> str:
    """What a report's filter does."""
    return _source("evaluation.js")


def _label_rules(scheme: LabelScheme, numbers: Mapping[str, int]) -> str:
    """The labels' colours as rules of the style, as the policy of the page takes no styles of elements."""
    colours = label_colours(scheme, sorted(numbers))
    return "".join(
        f".l{number}{{--label:{colours[label]};--ink-on:{text_colour_on(colours[label])}}}\n"
        for label, number in numbers.items()
    )


@cache
def _source(name: str) -> str:
    return resources.files(_PACKAGE).joinpath("templates", name).read_text("utf-8")
