"""The asset ``evaluation``: what experts made of the suggestions."""

import time
from typing import Final

import pyarrow as pa
from dagster import (
    AssetExecutionContext,
    MaterializeResult,
    MetadataValue,
    TableColumn,
    TableMetadataValue,
    TableRecord,
    TableSchema,
    asset,
)

from preannotation_assets.contracts import DECISIONS
from preannotation_assets.defs.assets.common import OWNERS, MetadataValues, column_schema, without_empty
from preannotation_assets.defs.assets.neighbours import vw_argilla_responses
from preannotation_assets.defs.assets.suggestions.asset import suggestions
from preannotation_assets.defs.partitions import DATASETS
from preannotation_assets.defs.resources.evaluating import EvaluatingResource
from preannotation_assets.defs.resources.label_scheme import LabelSchemeResource
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.evaluation.empty_pages import EmptyPages
from preannotation_assets.evaluation.matching import Scheme
from preannotation_assets.evaluation.scores import Scores
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.publishing.evaluation import evaluate_dataset
from preannotation_assets.publishing.evaluation.results import Evaluation
from preannotation_assets.publishing.shown_ids import shown_id

__all__ = ["evaluation"]

_SCORE_COLUMNS: Final = ("label", "precision", "recall", "f1", "right", "missed", "spurious")


@asset(
    partitions_def=DATASETS,
    group_name="preannotation",
    kinds={"python", "parquet"},
    owners=OWNERS,
    deps=[suggestions, vw_argilla_responses],
    metadata=column_schema(DECISIONS),
    # Nothing: without it Dagster takes anything.
    config_schema={},
)
def evaluation(
    context: AssetExecutionContext,
    storage: StorageResource,
    warehouse: WarehouseResource,
    label_scheme: LabelSchemeResource,
    evaluating: EvaluatingResource,
) -> MaterializeResult[None]:
    """What experts made of the published suggestions: scores, actions, losses, and whether confidences hold.

    Asks nobody and publishes nothing; without responses it says so in a line.
    """
    began = time.monotonic()
    store, layout = storage.open(), DatasetLayout(context.partition_key)

    def ask_warehouse() -> pa.Table | None:
        with warehouse.open() as source:
            return source.responses(layout.dataset)

    found = evaluate_dataset(store, layout.dataset, ask_warehouse, label_scheme.load(), evaluating.rules())
    for line in found.lines():
        context.log.info(line)
    metadata: MetadataValues = {
        "responses": dict(found.uses),
        "pages": found.scores.pages,
        "seconds": round(time.monotonic() - began, 3),
    }
    if found.scores.pages:
        metadata |= _figures(found) | {
            "report": MetadataValue.path(store.uri(layout.evaluation_report)),
            "decisions": MetadataValue.path(store.uri(layout.decisions)),
            "figures": MetadataValue.path(store.uri(layout.evaluation)),
        }
    return MaterializeResult(metadata=without_empty(metadata))


def _figures(found: Evaluation) -> MetadataValues:
    """Those that are numbers alone are plotted by Dagster, over runs and so over models."""
    scores, reliability = found.scores, found.scores.reliability
    strict = scores.overall(Scheme.STRICT)
    return {
        "dagster/row_count": sum(scores.actions.values()),
        "documents": scores.documents,
        "annotators": found.annotators,
        "gold_rule": shown_id(found.gold_rule),
        "model": shown_id(found.model),
        "model_version": shown_id(found.model_version),
        "precision": _rounded(strict.precision.value),
        "recall": _rounded(strict.recall.value),
        **{f"f1_{scheme}": _rounded(scores.overall(scheme).f1.value) for scheme in Scheme},
        "actions_saved": _rounded(scores.savings.saved.value),
        "calibration_error": _rounded(reliability.expected_calibration_error),
        "brier": _rounded(reliability.brier),
        "mean_risk": _rounded(reliability.area_under_risk),
        "experts_alpha": _rounded(found.agreement.alpha),
        "experts_span_f1": _rounded(found.agreement.mean_f1),
        "actions": dict(scores.actions),
        "losses": dict(scores.losses),
        "scores_by_label": _table(scores),
        **_empty_pages(found.empty_pages),
    }


def _empty_pages(found: EmptyPages) -> MetadataValues:
    words, letters = found.by_words, found.by_letters
    return {
        "empty_pages": found.empty,
        "requests_saved_by_words": words and _rounded(words.requests_saved.value),
        "spans_lost_by_words": words and _rounded(words.spans_lost.value),
        "requests_saved_by_letters": letters and _rounded(letters.requests_saved.value),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def _table(scores: Scores) -> TableMetadataValue:
    records = [
        TableRecord(
            {
                "label": shown_id(each.label),
                "precision": each.precision.words,
                "recall": each.recall.words,
                "f1": each.f1.words,
                "right": each.counts.correct,
                "missed": each.counts.missed,
                "spurious": each.counts.spurious,
            }
        )
        for each in scores.by_label
    ]
    return MetadataValue.table(records, TableSchema([TableColumn(name) for name in _SCORE_COLUMNS]))
