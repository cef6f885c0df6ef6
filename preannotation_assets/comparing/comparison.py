"""The figures of a comparison: as a document in the lake, and as a table for a person."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from pydantic import TypeAdapter

from preannotation_assets.comparing.cascades import ComparedCascade
from preannotation_assets.comparing.costs_of_variant import Hours, VariantCosts
from preannotation_assets.evaluation.differences import ScoreDifferences
from preannotation_assets.evaluation.matching import Scheme
from preannotation_assets.evaluation.scores import Figure, Score, Scores
from preannotation_assets.lake import ObjectStore, write_json
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.overview.tables import aligned
from preannotation_assets.publishing.shown_ids import counted, shown_id
from preannotation_assets.visible_text import visible_line

__all__ = ["ComparedVariant", "Comparison", "write_comparison"]


@dataclass(frozen=True, slots=True)
class ComparedVariant:
    """What settings are worth and cost. ``differences`` are to the baseline, None of the baseline itself.

    ``changes`` are the settings that the file changes, ``notes`` lines about the model at its servers and
    about its calibration. ``failed`` counts pages by the reason why they failed; their spans are all missed.
    """

    name: str
    changes: Mapping[str, str]
    model: str
    model_version: str
    prompt_version: str
    scores: Scores
    differences: ScoreDifferences | None
    costs: VariantCosts
    failed: Mapping[str, int]
    notes: tuple[str, ...]

    @property
    def strict(self) -> Score:
        """The strict scores of all labels together."""
        return self.scores.overall(Scheme.STRICT)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Settings held against each other on the same reviewed pages; the first variant is the baseline.

    ``learned_from`` more reviewed pages are left out, because a variant's label scheme has its examples from
    their documents. ``batch_tokens`` is the estimate for all chunks of the batch, None where it is not cut.
    ``cascade`` is None where none was asked for.
    """

    dataset: str
    compared_at: datetime
    gold_rule: str
    pages: int
    documents: int
    learned_from: int
    batch_tokens: int | None
    variants: tuple[ComparedVariant, ...]
    cascade: ComparedCascade | None = None

    def lines(self) -> list[str]:
        """The table, and what it is of. Names, counts and figures only."""
        first = shown_id(self.variants[0].name)
        return [
            f"dataset  {shown_id(self.dataset)}",
            f"pages    {self.pages} of {self.documents} document(s), gold: {shown_id(self.gold_rule)}",
            *self._left_out(),
            "",
            *aligned([_HEAD, *map(_cells, self.variants)]),
            "",
            f"difference: of F1, to {first}, with a 95 % interval; p: how often chance alone makes as much",
            "read, written: tokens a page; seconds: of the server, a page; hours: of the batch; -: unknown",
            *self._remarks(),
            *(["", *self.cascade.lines()] if self.cascade else []),
        ]

    def _left_out(self) -> Iterator[str]:
        if self.learned_from:
            yield f"left out {self.learned_from} of documents that gave a scheme its examples (learned_from)"

    def _remarks(self) -> Iterator[str]:
        for variant in self.variants:
            for note in variant.notes:
                yield f"note     {shown_id(variant.name)}: {visible_line(note)}"
            if variant.failed:
                yield f"failed   {shown_id(variant.name)}: {counted(Counter(variant.failed))}"


_HEAD = (
    "variant", "precision", "recall", "F1", "difference", "saved", "read", "written", "seconds", "hours",
    "asked", "found", "failed",
)  # fmt: skip


def _cells(variant: ComparedVariant) -> Sequence[str]:
    strict, costs = variant.strict, variant.costs
    return (
        shown_id(variant.name),
        _figure(strict.precision),
        _figure(strict.recall),
        strict.f1.words,
        variant.differences.f1.words if variant.differences else "",
        _share(variant.scores.savings.saved),
        _number(costs.prompt_tokens_a_page, 0),
        _number(costs.answer_tokens_a_page, 0),
        _number(costs.server_seconds_a_page, 2),
        _hours(costs.batch_hours),
        str(costs.asked),
        str(costs.found),
        str(sum(variant.failed.values())),
    )


def _figure(figure: Figure) -> str:
    return _number(figure.value, 3)


def _share(figure: Figure) -> str:
    return "-" if figure.value is None else f"{figure.value:.0%}"


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:,.{decimals}f}"


def _hours(hours: Hours | None) -> str:
    if hours is None:
        return "-"
    if hours.lowest is None or hours.highest is None:
        return f"{hours.hours:.3g}"
    return f"{hours.hours:.3g} ({hours.lowest:.3g}-{hours.highest:.3g})"


@cache
def _document() -> TypeAdapter[Comparison]:
    # Made when it is needed: that takes longer than the import of all this.
    return TypeAdapter(Comparison)


def write_comparison(store: ObjectStore, layout: DatasetLayout, comparison: Comparison) -> None:
    """Replaces the figures of the last comparison.

    Raises:
        StorageError: the lake cannot be written.
    """
    write_json(store, layout.comparison, _document().dump_python(comparison, mode="json"))
