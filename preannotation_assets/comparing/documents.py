"""The report of a comparison as one HTML file: figures, and the pages on which settings differ."""

from collections.abc import Sequence
from importlib import resources
from typing import Final

from preannotation_assets.comparing.comparison import Comparison
from preannotation_assets.evaluation.actions import Fate
from preannotation_assets.evaluation.judging import JudgedPage
from preannotation_assets.evaluation.pages import ReviewedPage, place_of
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.publishing.evaluation.documents import (
    ReportPages,
    ShownMark,
    action_words,
    failure_words,
    model_marks,
    report_script,
    report_style,
)
from preannotation_assets.publishing.html_files import content_policy, template_environment
from preannotation_assets.publishing.shown_ids import shown_id
from preannotation_assets.temporary_folders import temporary_file

__all__ = ["add_if_different", "write_comparison_report"]

_PACKAGE: Final = "preannotation_assets.comparing"


def add_if_different(
    pages: ReportPages, names: Sequence[str], of_page: Sequence[tuple[ReviewedPage, JudgedPage]]
) -> None:
    """Adds a page on which a variant suggests other spans than the first; it has one entry a variant."""
    marked = [set(map(place_of, page.suggested)) for page, _ in of_page]
    differing = [f"v{number}" for number, places in enumerate(marked) if places != marked[0]]
    if not differing:
        return
    page = of_page[0][0]
    expert = [ShownMark(mark.start, mark.end, mark.label, Fate.KEPT, "") for mark in page.gold]
    facts = [
        f"{shown_id(name)}: {', '.join([*action_words(judged), *failure_words(answered)]) or 'nothing'}"
        for name, (answered, judged) in zip(names, of_page, strict=True)
    ]
    sides = [
        ("expert", expert),
        *((f"v{number}", model_marks(judged)) for number, (_, judged) in enumerate(of_page)),
    ]
    pages.add_sides(page, differing, ["; ".join(facts)], sides)


def write_comparison_report(
    store: ObjectStore,
    layout: DatasetLayout,
    comparison: Comparison,
    scheme: LabelScheme,
    pages: ReportPages,
) -> None:
    """Writes the report into the working data of the lake.

    Raises:
        StorageError: the lake cannot be written.
    """
    variants = comparison.variants
    columns = f".sides{{grid-template-columns:repeat({len(variants) + 1},minmax(0,1fr))}}\n"
    own = resources.files(_PACKAGE).joinpath("templates", "comparison.css").read_text("utf-8")
    style, script = report_style(scheme, pages) + own + columns, report_script()
    scores = [{score.label: score for score in variant.scores.by_label} for variant in variants]
    values = {
        "comparison": comparison,
        "baseline": variants[0],
        "labels": sorted({label for each in scores for label in each}),
        "scores_by_label": scores,
        "csp": content_policy(style, script),
        "style": style,
        "script": script,
        "pages": pages,
    }
    with temporary_file("report.html") as path:
        with path.open("w", encoding="utf-8", newline="") as target:
            template = template_environment(_PACKAGE).get_template("comparison.html.jinja")
            for piece in template.generate(values):
                target.write(piece)
        store.upload(layout.comparison_report, path)
