"""Holds settings against each other on the reviewed pages of a dataset; each question is asked once."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from preannotation_assets.comparing.answered_pages import AnsweredPages
from preannotation_assets.comparing.answering import answer_reviewed_pages
from preannotation_assets.comparing.cascades import CascadeRequest, ComparedCascade, compare_cascade
from preannotation_assets.comparing.comparison import ComparedVariant, Comparison, write_comparison
from preannotation_assets.comparing.costs_of_variant import costs_of
from preannotation_assets.comparing.documents import add_if_different, write_comparison_report
from preannotation_assets.comparing.prepared import PreparedSettings, prepare
from preannotation_assets.comparing.reviewed import not_learned_from, read_reviewed_pages
from preannotation_assets.comparing.variants import Variant, read_variants
from preannotation_assets.errors import PreannotationError, SettingsError
from preannotation_assets.evaluation.differences import score_differences
from preannotation_assets.evaluation.judging import JudgedPage, judge
from preannotation_assets.evaluation.scores import score_pages
from preannotation_assets.lake import ObjectStore
from preannotation_assets.lake.batch import read_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import ChunksManifest
from preannotation_assets.publishing.evaluation import EvaluationRules
from preannotation_assets.publishing.evaluation.documents import ReportPages
from preannotation_assets.telemetry.stage_progress import ProgressDisplay
from preannotation_assets.temporary_folders import temporary_folder

__all__ = ["ComparisonRequest", "compare_settings"]


@dataclass(frozen=True, slots=True)
class ComparisonRequest:
    """The dataset, the file of variants, what counts as right, and how to get the warehouse's responses.

    ``cascade`` names two variants of which one would be asked first; None without a cascade.
    """

    dataset: str
    file: str
    rules: EvaluationRules
    ask_warehouse: Callable[[], pa.Table | None]
    cascade: CascadeRequest | None = None


def compare_settings(
    request: ComparisonRequest,
    store: ObjectStore,
    environment: Mapping[str, str],
    progress: ProgressDisplay,
) -> Comparison:
    """Answers the reviewed pages with every variant and writes figures and report into the lake.

    All variants are held against their servers before anything is asked. What an earlier run or comparison
    has asked is found in the answer store.

    Raises:
        PreannotationError: the file has a mistake, nothing was reviewed, or a variant cannot be asked.
    """
    layout, rules = DatasetLayout(request.dataset), request.rules
    variants = read_variants(request.file, environment)
    _require_variants(request.cascade, variants)
    reviewed = read_reviewed_pages(store, request.dataset, request.ask_warehouse, rules.gold)
    prepared = [_prepare(variant, request.dataset) for variant in variants]
    pages = not_learned_from(reviewed, (each.scheme for each in prepared))
    answered = [answer_reviewed_pages(each, pages, progress) for each in prepared]
    judged = [[judge(page.page) for page in each.pages] for each in answered]
    batch_tokens = _batch_tokens(store, layout)
    comparison = Comparison(
        dataset=request.dataset,
        compared_at=datetime.now(UTC),
        gold_rule=rules.gold,
        pages=len(pages),
        documents=len({page.doc_id for page in pages}),
        learned_from=len(reviewed) - len(pages),
        batch_tokens=batch_tokens,
        variants=tuple(
            _compared(variant, ready, found, judged[0], own, rules, batch_tokens)
            for variant, ready, found, own in zip(variants, prepared, answered, judged, strict=True)
        ),
        cascade=_cascade(request, variants, prepared, answered),
    )
    with temporary_folder() as folder:
        shown = ReportPages(folder / "pages")
        for number in range(len(pages)):
            of_page = [
                (found.pages[number].page, own[number]) for found, own in zip(answered, judged, strict=True)
            ]
            add_if_different(shown, [variant.name for variant in variants], of_page)
        write_comparison_report(store, layout, comparison, prepared[0].scheme, shown)
        write_comparison(store, layout, comparison)
    return comparison


def _require_variants(cascade: CascadeRequest | None, variants: Sequence[Variant]) -> None:
    """Makes sure that a cascade is of two of the variants.

    Raises:
        SettingsError: it is not.
    """
    names = [variant.name for variant in variants]
    asked = [cascade.small, cascade.large] if cascade else []
    for name in asked:
        if name not in names:
            raise SettingsError(
                f"--cascade names {name!r}, which is no variant", f"name two of {', '.join(names)}"
            )
    if len(set(asked)) < len(asked):
        raise SettingsError("--cascade names one variant twice", "write --cascade SMALL,LARGE")


def _cascade(
    request: ComparisonRequest,
    variants: Sequence[Variant],
    prepared: Sequence[PreparedSettings],
    answered: Sequence[AnsweredPages],
) -> ComparedCascade | None:
    if request.cascade is None:
        return None
    by_name = {
        variant.name: (ready.calibration, found.pages)
        for variant, ready, found in zip(variants, prepared, answered, strict=True)
    }
    calibration, small = by_name[request.cascade.small]
    _, large = by_name[request.cascade.large]
    return compare_cascade(request.cascade, small, large, calibration, request.rules.samples)


def _prepare(variant: Variant, dataset: str) -> PreparedSettings:
    try:
        return prepare(variant.settings, dataset)
    except PreannotationError as error:
        raise SettingsError(f"variant {variant.name}: {error.problem}", error.cure) from None


def _compared(
    variant: Variant,
    prepared: PreparedSettings,
    answered: AnsweredPages,
    baseline: Sequence[JudgedPage],
    judged: Sequence[JudgedPage],
    rules: EvaluationRules,
    batch_tokens: int | None,
) -> ComparedVariant:
    is_baseline = judged is baseline
    failures = Counter(page.page.failure for page in answered.pages if page.page.failure is not None)
    return ComparedVariant(
        name=variant.name,
        changes=variant.changes,
        model=answered.model,
        model_version=answered.model_version,
        prompt_version=answered.prompt_version,
        scores=score_pages(judged, rules.costs, rules.samples),
        differences=None if is_baseline else score_differences(baseline, judged, rules.costs, rules.samples),
        costs=costs_of(answered.pages, batch_tokens),
        failed=dict(sorted(failures.items())),
        notes=prepared.notes,
    )


def _batch_tokens(store: ObjectStore, layout: DatasetLayout) -> int | None:
    cut = read_manifest(store, layout.stage_manifest("chunks"), ChunksManifest)
    return None if cut is None else cut.estimated_tokens
