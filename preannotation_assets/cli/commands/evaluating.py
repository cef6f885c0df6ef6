"""``preannotate evaluate``, ``calibrate`` and ``compare``: what experts made of pages, and what follows."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

from preannotation_assets.cli.deployment import open_lake, open_pages, read_settings

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["calibrate", "compare", "evaluate"]


def evaluate(arguments: argparse.Namespace) -> int:
    """Evaluates a dataset and tells the figures, and where the report is."""
    from preannotation_assets.label_file import load_label_scheme
    from preannotation_assets.lake.layout import DatasetLayout
    from preannotation_assets.publishing.evaluation import EvaluationRules, evaluate_dataset

    settings = read_settings()
    lake, layout = open_lake(settings), DatasetLayout(arguments.dataset)
    evaluating = settings.evaluating
    rules = EvaluationRules.parse(
        evaluating.gold if arguments.gold is None else arguments.gold,
        evaluating.action_costs if arguments.costs is None else arguments.costs,
        evaluating.bootstrap_samples,
    )

    def ask_warehouse() -> "pa.Table | None":
        with open_pages(settings) as source:
            return source.responses(layout.dataset)

    scheme = load_label_scheme(settings.labels.path)
    found = evaluate_dataset(lake, layout.dataset, ask_warehouse, scheme, rules)
    for line in found.lines():
        sys.stdout.write(f"{line}\n")
    if found.scores.pages:
        sys.stdout.write(f"report     {lake.uri(layout.evaluation_report)}\n")
    return 0


def calibrate(arguments: argparse.Namespace) -> int:
    """Fits a calibration to reviewed datasets and tells its figures and its name; 1 where there is none."""
    from preannotation_assets.publishing.evaluation import EvaluationRules, calibrate_datasets

    settings = read_settings()
    evaluating = settings.evaluating
    rules = EvaluationRules.parse(evaluating.gold, evaluating.action_costs, evaluating.bootstrap_samples)

    def ask_warehouse(dataset: str) -> "pa.Table | None":
        with open_pages(settings) as source:
            return source.responses(dataset)

    datasets = [arguments.dataset, *arguments.and_from]
    found = calibrate_datasets(open_lake(settings), datasets, ask_warehouse, rules, arguments.model)
    for line in found.lines():
        sys.stdout.write(f"{line}\n")
    return 0 if found.fitted.calibration is not None else 1


def compare(arguments: argparse.Namespace) -> int:
    """Answers reviewed pages with several settings and tells what each is worth and costs."""
    from preannotation_assets.cli.progress_bar import progress_display
    from preannotation_assets.comparing.cascades import CascadeRequest
    from preannotation_assets.comparing.comparing import ComparisonRequest, compare_settings
    from preannotation_assets.lake.layout import DatasetLayout
    from preannotation_assets.publishing.evaluation import EvaluationRules

    settings = read_settings()
    lake, layout, evaluating = open_lake(settings), DatasetLayout(arguments.dataset), settings.evaluating
    rules = EvaluationRules.parse(evaluating.gold, evaluating.action_costs, evaluating.bootstrap_samples)

    def ask_warehouse() -> "pa.Table | None":
        with open_pages(settings) as source:
            return source.responses(layout.dataset)

    cascade = None
    if arguments.cascade is not None:
        small, large = arguments.cascade
        cascade = CascadeRequest(small, large, tuple(settings.cascade.doubts))
    request = ComparisonRequest(layout.dataset, arguments.file, rules, ask_warehouse, cascade)
    with progress_display(sys.stderr, os.environ) as progress:
        found = compare_settings(request, lake, os.environ, progress)
    for line in found.lines():
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"report   {lake.uri(layout.comparison_report)}\n")
    return 0
