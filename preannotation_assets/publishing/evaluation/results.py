"""The figures of an evaluation: as a document in the lake, and as an account for a person."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

from pydantic import TypeAdapter

from preannotation_assets.evaluation.agreement import AgreementTally, PairAgreement
from preannotation_assets.evaluation.empty_pages import CheapTest, EmptyPages
from preannotation_assets.evaluation.matching import Scheme
from preannotation_assets.evaluation.scores import Figure, Score, Scores
from preannotation_assets.lake import ObjectStore, write_json
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.publishing.shown_ids import shown_id

__all__ = ["Agreement", "Evaluation", "empty_words", "write_evaluation"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far experts agree on the ``pages`` that several reviewed; what is unknown is None.

    ``mean_f1`` is the mean over pairs of experts that marked anything.
    """

    pages: int
    alpha: float | None
    mean_f1: float | None
    pairs: tuple[PairAgreement, ...]

    @classmethod
    def of(cls, tally: AgreementTally) -> "Agreement":
        """What was added up."""
        pairs = tally.pairs
        known = [pair.f1 for pair in pairs if pair.f1 is not None]
        return cls(tally.pages, tally.alpha, sum(known) / len(known) if known else None, tuple(pairs))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What experts made of one publication.

    ``content_hash`` is that of the published Parquet. ``source`` is where responses came from: ``lake`` or
    ``warehouse``, None where neither has any. ``uses`` counts them by ``ResponseUse``; ``pages_without_gold``
    were reviewed, though not by the expert whom the rule for the gold names.
    """

    dataset: str
    model: str
    model_version: str
    prompt_version: str
    scheme_version: str | None
    content_hash: str
    evaluated_at: datetime
    gold_rule: str
    source: str | None
    uses: Mapping[str, int]
    annotators: int
    pages_without_gold: int
    agreement: Agreement
    scores: Scores
    empty_pages: EmptyPages

    def lines(self) -> list[str]:
        """The account: counts, figures and names of labels. One line where nothing can be said."""
        scores = self.scores
        if not scores.pages:
            return [self._nothing()]
        return [
            (
                f"dataset    {shown_id(self.dataset)}: {scores.pages} page(s) of "
                f"{scores.documents} document(s) reviewed by {self.annotators} "
                f"expert(s), gold: {shown_id(self.gold_rule)}"
            ),
            f"model      {shown_id(self.model)} {shown_id(self.model_version)}",
            f"responses  {_counts(self.uses)}",
            *self._agreement(),
            f"spans      {scores.gold} by the experts, {scores.suggested} suggested",
            *_score_lines(scores),
            f"did        {_counts(scores.actions)}",
            (
                f"saved      {_percent(scores.savings.saved)} of the actions: "
                f"{scores.savings.with_suggestions:g} instead of {scores.savings.from_nothing:g}"
            ),
            f"lost       {_counts(scores.losses)}",
            f"confidence {self._reliability()}",
            f"empty      {empty_words(self.empty_pages)}",
        ]

    def _nothing(self) -> str:
        if not self.uses:
            return (
                f"there are no experts' responses for {shown_id(self.dataset)} yet, neither in the lake's "
                "argilla/out nor in the view vw_argilla_responses (docs/evaluation.md)"
            )
        left = (
            f", {self.pages_without_gold} pages without the named expert" if self.pages_without_gold else ""
        )
        return f"no response for {shown_id(self.dataset)} can be evaluated: {_counts(self.uses)}{left}"

    def _agreement(self) -> Iterator[str]:
        found = self.agreement
        if found.pages:
            yield (
                f"agreement  alpha {_number(found.alpha)}, span F1 {_number(found.mean_f1)} on {found.pages} "
                f"page(s) that several reviewed"
            )

    def _reliability(self) -> str:
        found = self.scores.reliability
        if not found.known:
            return f"unknown of all {found.unknown} suggestions"
        return (
            f"ECE {_number(found.expected_calibration_error)}, Brier {_number(found.brier)}, mean risk "
            f"{_number(found.area_under_risk)}, unknown of {found.unknown}"
        )


def empty_words(found: EmptyPages) -> str:
    """How many pages hold nothing, and what tests for that would have saved on held-out documents."""
    held = f"{found.empty} of {found.pages} reviewed pages with text hold nothing"
    words, letters = found.by_words, found.by_letters
    if words is None or letters is None:
        return f"{held}: too few of either kind, or documents, to tell what a test for that could save"
    return (
        f"{held}; on documents it has not seen a test by words would have saved {_saved(words)}"
        f"{_taken(words)} and lost {_share(words.spans_lost)} of the spans{_doubt(words)}; one by the number "
        f"of letters would have saved {_saved(letters)} and lost {_share(letters.spans_lost)}"
    )


def _saved(found: CheapTest) -> str:
    if found.requests_saved.value is None:
        return f"{_share(found.pages_saved)} of the pages"
    return f"{_share(found.requests_saved)} of the requests"


def _taken(found: CheapTest) -> str:
    tokens = [] if found.tokens is None else [f"{found.tokens} tokens"]
    seconds = [] if found.seconds is None else [f"{found.seconds:.0f} s of servers"]
    return "".join(f", {each}" for each in (*tokens, *seconds))


def _doubt(found: CheapTest) -> str:
    return ", which is next to nothing" if found.saves_little else ""


def _share(figure: Figure) -> str:
    if figure.value is None:
        return "an unknown share"
    if figure.interval is None:
        return f"{figure.value:.1%}"
    return f"{figure.value:.1%} ({figure.interval.low:.1%} to {figure.interval.high:.1%})"


_WIDTH: Final = 20


def _score_lines(scores: Scores) -> Iterator[str]:
    yield f"           {'':{_WIDTH}} {'precision':20} {'recall':20} F1"
    for scheme in Scheme:
        yield _score_line(f"all, {scheme}", scores.overall(scheme))
    for each in scores.by_label:
        yield _score_line(shown_id(each.label), each)


def _score_line(name: str, score: Score) -> str:
    return f"           {name:{_WIDTH}} {score.precision.words:20} {score.recall.words:20} {score.f1.words}"


def _percent(figure: Figure) -> str:
    if figure.value is None:
        return "an unknown share"
    if figure.interval is None:
        return f"{figure.value:.0%}"
    return f"{figure.value:.0%} ({figure.interval.low:.0%} to {figure.interval.high:.0%})"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _counts(counts: Mapping[str, int]) -> str:
    named: Sequence[str] = [f"{name} {count}" for name, count in counts.items() if count]
    return ", ".join(named) or "none"


@cache
def _document() -> TypeAdapter[Evaluation]:
    # Made when it is needed: that takes longer than the import of all this.
    return TypeAdapter(Evaluation)


def write_evaluation(store: ObjectStore, layout: DatasetLayout, evaluation: Evaluation) -> None:
    """Replaces the figures of the last evaluation.

    Raises:
        StorageError: the lake cannot be written.
    """
    write_json(store, layout.evaluation, _document().dump_python(evaluation, mode="json"))
