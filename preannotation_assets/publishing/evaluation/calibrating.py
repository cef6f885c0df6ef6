"""Fits a calibration to what experts decided about published datasets, and stores it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from preannotation_assets.errors import BatchError
from preannotation_assets.evaluation.actions import infer_actions
from preannotation_assets.evaluation.calibration import (
    DecidedParts,
    FittedCalibration,
    HeldOutFigures,
    fit_calibration,
)
from preannotation_assets.evaluation.pages import SuggestedSpan, place_of
from preannotation_assets.evaluation.responses import ResponseUse, parse_gold_rule
from preannotation_assets.extraction.segments import Mark
from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.lake import ObjectStore, Row
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.publishing.aligned_pages import aligned
from preannotation_assets.publishing.calibrations import (
    store_calibration,
    version_of_answers,
    version_of_model,
)
from preannotation_assets.publishing.evaluation.evaluating import (
    EvaluationRules,
    ReviewedPages,
    find_responses,
    verified,
)
from preannotation_assets.publishing.evaluation.reading import confidence_parts, published_pages
from preannotation_assets.publishing.report.reading import Batch, grounding_rows, read_batch
from preannotation_assets.publishing.shown_ids import shown_id

__all__ = ["CalibrationAccount", "calibrate_datasets"]

_COLUMNS: Final = (
    "doc_id",
    "page_num",
    "label",
    "outcome",
    "start",
    "end",
    "similarity",
    "token_probability",
    "lowest_token_probability",
    "agreement",
    "value_verdict",
    "confidence",
    "model",
)

AskForResponses = Callable[[str], pa.Table | None]
"""The warehouse's responses for a dataset; None where it has no view of them."""


@dataclass(frozen=True, slots=True)
class CalibrationAccount:
    """What came of a fit; ``unknown`` suggestions had no confidence, and none will be given to such ones.

    ``learned_from`` responses are left out, about documents that gave the model its examples.
    """

    datasets: tuple[str, ...]
    unknown: int
    learned_from: int
    fitted: FittedCalibration

    def lines(self) -> list[str]:
        """Counts and figures, then the name of the calibration, or why there is none."""
        fitted = self.fitted
        return [
            f"datasets   {', '.join(map(shown_id, self.datasets))}",
            (
                f"decided    {fitted.suggestions} suggestions in {fitted.documents} document(s), "
                f"{fitted.right} right; {self.unknown} more without a confidence"
            ),
            *self._left_out(),
            *self._figures(),
            *(
                f"threshold  {shown_id(each.label)}: below {each.threshold:.3f} lie {each.held_back} of "
                f"{each.suggestions}, which cost {each.saved:g} actions more than they save"
                for each in fitted.thresholds
            ),
            self._outcome(),
        ]

    def _left_out(self) -> Iterator[str]:
        if self.learned_from:
            yield f"left out   {ResponseUse.LEARNED_FROM} {self.learned_from} response(s)"

    def _figures(self) -> Iterator[str]:
        if self.fitted.before is not None:
            yield _figure("as it is", self.fitted.before)
        for method, found in self.fitted.held_out.items():
            yield _figure(method, found)

    def _outcome(self) -> str:
        found = self.fitted.calibration
        if found is None:
            return f"no calibration: {self.fitted.problem}"
        return f"stored     PREANNOTATION_CALIBRATION={found.content_hash} applies it ({found.method})"


def _figure(name: str, found: HeldOutFigures) -> str:
    return (
        f"{name:10} Brier {found.brier:.4f}, ECE {found.expected_calibration_error:.3f} on held-out documents"
    )


def calibrate_datasets(
    store: ObjectStore,
    datasets: Sequence[str],
    ask_warehouse: AskForResponses,
    rules: EvaluationRules,
    model: str = "",
) -> CalibrationAccount:
    """Fits to the decisions about all of the datasets together, and stores what is good enough.

    Documents that the model was shown as examples do not count: it is surer and better there than elsewhere.
    Of what a cascade published only what ``model`` named counts, which is its large one unless said.

    Raises:
        BatchError: a dataset is not materialized, or ``model`` was asked about none of them.
        SettingsError: the rule for the gold is none.
        StorageError: the lake cannot be read or written.
        VerificationError: a published Parquet is not the one that its manifest names.
        WarehouseError: the view of responses cannot be read.
    """
    decided: list[DecidedParts] = []
    uses: Counter[str] = Counter()
    versions, unknown = set(), 0
    batches = [read_batch(store, dataset) for dataset in dict.fromkeys(datasets)]
    _require_asked(model, [batch.published for batch in batches])
    for batch in batches:
        named_by = model or batch.published.model
        for gold, every in _reviewed(store, batch, ask_warehouse, rules, uses):
            rows = [row for row in every if (row["model"] or batch.published.model) == named_by]
            known = [row for row in rows if None not in (row["confidence"], row["similarity"])]
            unknown += len(rows) - len(known)
            decided += _decided(gold, known)
            if rows:
                versions.add(_version(batch.published, named_by))
    fitted = fit_calibration(decided, rules.costs, sorted(versions))
    if fitted.calibration is not None:
        store_calibration(store, fitted.calibration)
    left_out = uses[ResponseUse.LEARNED_FROM]
    return CalibrationAccount(tuple(dict.fromkeys(datasets)), unknown, left_out, fitted)


def _require_asked(model: str, published: Sequence[SuggestionsManifest]) -> None:
    large = {manifest.model for manifest in published}
    asked = large | {manifest.cascade.model for manifest in published if manifest.cascade}
    if model and model not in asked:
        raise BatchError(
            f"{shown_id(model)} was asked about nothing of what is published",
            f"name one of: {', '.join(map(shown_id, sorted(asked)))}",
        )


def _version(published: SuggestionsManifest, model: str) -> str:
    """The model version of one model's answers, as if it had been asked alone."""
    if published.cascade and published.cascade.model == model:
        return version_of_model(published.cascade.model_digest, published.prompt_version)
    return version_of_answers(published.model_version)


def _reviewed(
    store: ObjectStore,
    batch: Batch,
    ask_warehouse: AskForResponses,
    rules: EvaluationRules,
    uses: Counter[str],
) -> Iterator[tuple[Sequence[Mark], list[Row]]]:
    """The gold of the reviewed pages, each with the quotes that were published or held back.

    How the responses were used is added to ``uses``.
    """
    gold_rule = parse_gold_rule(rules.gold)
    _, responses = find_responses(store, batch.layout, lambda: ask_warehouse(batch.layout.dataset))
    if not responses:
        return
    walk = ReviewedPages(gold_rule, dict(responses), frozenset(batch.published.learned_from))
    with verified(store, batch) as published:
        pages = published_pages(store, batch, published)
        gold = {(page.doc_id, page.page_num): page.gold for page in filter(None, map(walk.of, pages))}
    uses.update(walk.uses)
    for key, (rows,) in aligned(_kept_rows(store, batch)):
        if key in gold:
            yield gold[key], rows


def _kept_rows(store: ObjectStore, batch: Batch) -> Iterator[Row]:
    for row in grounding_rows(store, batch, _COLUMNS):
        if row["outcome"] == QuoteOutcome.KEPT:
            yield row


def _decided(gold: Sequence[Mark], rows: Sequence[Row]) -> Iterator[DecidedParts]:
    """What became of each; what was held back is judged by the same spans of the experts."""
    by_place = {(row["start"], row["end"], row["label"]): row for row in rows}
    spans = [SuggestedSpan(*place) for place in by_place]
    for decision in infer_actions(gold, spans).decisions:
        row = by_place[place_of(decision.suggestion)]
        yield DecidedParts(row["doc_id"], confidence_parts(row), decision.fate)
