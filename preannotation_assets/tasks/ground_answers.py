"""Turns the answers about one part of the pages into suggestions."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa

from preannotation_assets.contracts import (
    FIRST_PASS,
    GROUNDINGS,
    PAGES,
    RAW_MODEL_OUTPUTS,
    SECOND_PASS,
    SUGGESTIONS,
    AnswerStatus,
    span_id,
)
from preannotation_assets.extraction.argilla_rules import MOST_SPANS
from preannotation_assets.extraction.calibrated import Calibration
from preannotation_assets.extraction.empty_answers import PageAnswer
from preannotation_assets.extraction.page_failures import PageFailure
from preannotation_assets.extraction.spans import QuoteOutcome, Span
from preannotation_assets.extraction.suggesting import ChunkAnswer, JudgedQuote, PageSuggestions, suggest
from preannotation_assets.extraction.values import ValueRule
from preannotation_assets.lake import FetchedBytes, Row, StoreLocation, open_store, read_table_as, write_table
from preannotation_assets.manifests import FailedPage, PageVersion
from preannotation_assets.page_lists import PageList

__all__ = ["GroundAnswers", "GroundedPart", "ground_answers", "shares_of_parts"]

# Characters of a page that cost as much as one of an answer.
_TEXT_TO_AN_ANSWER: Final = 10


@dataclass(frozen=True, slots=True)
class GroundAnswers:
    """Pages and answers in, suggestions and groundings out.

    ``calibration`` says what confidences are worth, of those that ``small_model`` gave, the first one of a
    cascade, ``small_calibration``; ``holds_back`` whether suggestions below the threshold of their label are
    left out. Groundings keep the confidences as they were made.
    Of the pages of a part a task has the share number ``share`` of ``shares``.
    """

    location: StoreLocation
    pages_key: str
    outputs_key: str
    suggestions_key: str
    groundings_key: str
    labels: Sequence[str]
    overlaps_allowed: bool
    rules: Mapping[str, ValueRule]
    model: str
    model_version: str
    share: int = 0
    shares: int = 1
    calibration: Calibration | None = None
    holds_back: bool = False
    small_model: str | None = None
    small_calibration: Calibration | None = None

    def calibration_of(self, quote: JudgedQuote) -> Calibration | None:
        """What the quote's confidence is worth by, if by anything; it depends on who named it."""
        is_small = self.small_model is not None and quote.model == self.small_model
        return self.small_calibration if is_small else self.calibration


@dataclass(frozen=True, slots=True)
class GroundedPart:
    """What came of it. ``outcomes`` counts quotes by what became of them, ``held_back`` kept ones by label.

    ``verdicts`` counts the values that a rule was applied to, by label and verdict; ``confidence_sources``
    the rows by what their confidence was made of, ``models`` those of a cascade by the model that named them,
    ``page_answers`` the pages that did not fail by what their answers came to. ``confidence_sum`` is of the
    ``known_confidences`` rows whose confidence is known.
    """

    rows: int
    pages_with_spans: int
    pages_without_spans: Sequence[PageVersion]
    failed_pages: Sequence[FailedPage]
    spans_by_label: Mapping[str, int]
    outcomes: Mapping[str, int]
    matches: Mapping[str, int]
    verdicts: Mapping[str, int]
    confidence_sources: Mapping[str, int]
    models: Mapping[str, int]
    confidence_sum: float
    known_confidences: int
    page_answers: Mapping[str, int]
    held_back: Mapping[str, int]
    fetched: FetchedBytes


def shares_of_parts(part_bytes: Sequence[int]) -> list[int]:
    """How many tasks share each part, so that no task has over twice the mean of the parts.

    ``part_bytes`` are those of its answers. Neighbours are alike: where most answers are on few pages, these
    are in one part.
    """
    most = 2 * sum(part_bytes) / max(1, len(part_bytes))
    return [max(1, math.ceil(size / most)) if most else 1 for size in part_bytes]


def ground_answers(task: GroundAnswers) -> GroundedPart:
    """Writes the suggestions of a share of one part, sorted by doc_id, page_num, start, end and label.

    A page of which any part has no answer has no suggestions: it counts as failed as a whole, and so does one
    that Argilla would not take.

    Raises:
        StorageError: the lake cannot be read or written.
    """
    store = open_store(task.location)
    outputs = _by_page(read_table_as(store, task.outputs_key, RAW_MODEL_OUTPUTS))
    suggestions: list[dict[str, Any]] = []
    groundings: list[dict[str, Any]] = []
    without_spans, failed = PageList(PageVersion), PageList(FailedPage)
    sources, models, page_answers = Counter[str](), Counter[str](), Counter[str]()
    for page in _own_pages(task, read_table_as(store, task.pages_key, PAGES).to_pylist(), outputs):
        rows = outputs.get((page["doc_id"], page["page_num"]), [])
        result = _failure(page, rows) or _suggest(task, page, rows)
        if isinstance(result, str):
            failed.append(FailedPage(doc_id=page["doc_id"], page_num=page["page_num"], reason=result))
            continue
        suggestions += [_suggestion_row(task, page, span) for span in result.spans]
        groundings += _grounding_rows(page, result)
        named = _quotes_of_spans(result)
        sources.update(quote.confidence_source.value for quote in named)
        models.update(quote.model for quote in named if quote.model is not None)
        page_answers[PageAnswer.of(result, was_asked=bool(rows)).value] += 1
        if not result.spans:
            without_spans.append(PageVersion(page["doc_id"], page["page_num"], page["text_sha256"]))
    write_table(store, task.suggestions_key, pa.Table.from_pylist(suggestions, schema=SUGGESTIONS))
    write_table(store, task.groundings_key, pa.Table.from_pylist(groundings, schema=GROUNDINGS))
    return GroundedPart(
        rows=len(suggestions),
        pages_with_spans=len({(row["doc_id"], row["page_num"]) for row in suggestions}),
        pages_without_spans=without_spans,
        failed_pages=failed,
        spans_by_label=_labels(suggestions),
        outcomes=Counter(row["outcome"] for row in groundings),
        matches=Counter(row["match"] for row in groundings if row["match"]),
        verdicts=_verdicts(groundings),
        confidence_sources=sources,
        models=models,
        confidence_sum=sum(row["confidence"] or 0.0 for row in suggestions),
        known_confidences=sum(row["confidence"] is not None for row in suggestions),
        page_answers=page_answers,
        held_back=_held_back(groundings, suggestions),
        fetched=store.fetched,
    )


def _held_back(groundings: Iterable[Row], suggestions: Iterable[Row]) -> Counter[str]:
    return _labels(row for row in groundings if row["outcome"] == QuoteOutcome.KEPT) - _labels(suggestions)


def _verdicts(groundings: Iterable[Row]) -> Counter[str]:
    return Counter(f"{row['label']} {row['value_verdict']}" for row in groundings if row["value_verdict"])


def _labels(rows: Iterable[Row]) -> Counter[str]:
    return Counter(row["label"] for row in rows)


def _quotes_of_spans(found: PageSuggestions) -> list[JudgedQuote]:
    """The quote that each span was made of."""
    kept = _kept(found)
    return [kept[_place(span)] for span in found.spans]


def _own_pages(
    task: GroundAnswers, pages: Sequence[Row], outputs: Mapping[tuple[str, int], Sequence[Row]]
) -> Iterator[Row]:
    """The pages of the task's share: neighbours, with about as much to ground as each of the other shares."""
    weights = [_weight(page, outputs.get((page["doc_id"], page["page_num"]), ())) for page in pages]
    total, before = sum(weights), 0
    for page, weight in zip(pages, weights, strict=True):
        if before * task.shares // total == task.share:
            yield page
        before += weight


def _weight(page: Row, rows: Sequence[Row]) -> int:
    """What a page is to ground, as characters of answers; a quote is looked for on the whole page."""
    return 1 + len(page["text"]) // _TEXT_TO_AN_ANSWER + sum(len(row["answer"] or "") for row in rows)


def _by_page(outputs: pa.Table) -> dict[tuple[str, int], list[Row]]:
    rows: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in _with_times(outputs):
        rows[row["doc_id"], row["page_num"]].append(row)
    return rows


def _suggest(task: GroundAnswers, page: Row, rows: Sequence[Row]) -> PageSuggestions | str:
    """What is suggested on a page, or the reason why nothing can be."""
    found = suggest(
        page["text"],
        _answers(rows, FIRST_PASS),
        task.labels,
        overlaps_allowed=task.overlaps_allowed,
        rules=task.rules,
        second_answers=_answers(rows, SECOND_PASS),
    )
    return _calibrated(task, found) if len(found.spans) <= MOST_SPANS else PageFailure.TOO_MANY_SPANS.value


def _place(span: Span) -> tuple[int, int, str]:
    return span.start, span.end, span.label


def _kept(found: PageSuggestions) -> Mapping[tuple[int, int, str], JudgedQuote]:
    """The quote of which each span was made; no two spans of a page have one label at one place."""
    return {
        (quote.grounding.start, quote.grounding.end, quote.label): quote
        for quote in found.quotes
        if quote.outcome is QuoteOutcome.KEPT and quote.grounding is not None
    }


def _calibrated(task: GroundAnswers, found: PageSuggestions) -> PageSuggestions:
    """The suggestions with what their confidences are worth, without those that are held back.

    After merging: a calibration says how sure a span is and not which one is there.
    """
    if task.calibration is None and task.small_calibration is None:
        return found
    kept = _kept(found)
    spans: list[Span] = []
    for span in found.spans:
        quote = kept[_place(span)]
        calibration, parts = task.calibration_of(quote), quote.confidence_parts
        if calibration is None:
            spans.append(span)
            continue
        worth = None if parts is None else calibration.probability(parts)
        if not (task.holds_back and calibration.is_held_back(span.label, worth)):
            spans.append(replace(span, confidence=worth))
    return replace(found, spans=tuple(spans))


def _with_times(outputs: pa.Table) -> Iterator[Row]:
    """The rows, with ``answered_at`` as microseconds since the epoch."""
    times = outputs["answered_at"].cast(pa.int64())
    index = outputs.schema.get_field_index("answered_at")
    yield from outputs.set_column(index, "answered_at", times).to_pylist()


def _failure(page: Row, rows: Sequence[Row]) -> str | None:
    # A second pass that failed leaves what the first one gave.
    reasons = [
        row["reason"] or PageFailure.UNKNOWN.value
        for row in rows
        if row["pass_number"] == FIRST_PASS and row["status"] != AnswerStatus.ANSWERED
    ]
    if reasons:
        return str(reasons[0])
    return PageFailure.NOT_ASKED.value if not rows and page["text"].strip() else None


def _answers(rows: Sequence[Row], pass_number: int) -> list[ChunkAnswer]:
    return [
        ChunkAnswer(**{name: row[name] for name in ChunkAnswer.__slots__})
        for row in rows
        if row["pass_number"] == pass_number and row["status"] == AnswerStatus.ANSWERED
    ]


def _suggestion_row(task: GroundAnswers, page: Row, span: Span) -> dict[str, Any]:
    """A row of contracts.SUGGESTIONS."""
    return {
        "doc_id": page["doc_id"],
        "page_num": page["page_num"],
        "span_id": span_id(page["doc_id"], page["page_num"], span.start, span.end, span.label),
        "label": span.label,
        "start": span.start,
        "end": span.end,
        "text": page["text"][span.start : span.end],
        "text_sha256": page["text_sha256"],
        "confidence": span.confidence,
        "model": task.model,
        "model_version": task.model_version,
        "generated_at": span.answered_at,
    }


def _grounding_rows(page: Row, result: PageSuggestions) -> Iterator[dict[str, Any]]:
    """Rows of contracts.GROUNDINGS."""
    for quote in result.quotes:
        place, probability = quote.grounding, quote.probability
        yield {
            "doc_id": page["doc_id"],
            "page_num": page["page_num"],
            "chunk_start": quote.chunk_start,
            "answer_index": quote.answer_index,
            "label": quote.label,
            "quote": quote.quote,
            "outcome": quote.outcome.value,
            "start": place.start if place else None,
            "end": place.end if place else None,
            "match": place.match.value if place else None,
            "similarity": place.similarity if place else None,
            "token_probability": probability.mean if probability else None,
            "lowest_token_probability": probability.lowest if probability else None,
            "value_tokens": probability.tokens if probability else None,
            "self_reported": quote.self_reported,
            "agreement": quote.agreement,
            "value_verdict": quote.verdict,
            "confidence": quote.confidence,
            "model": quote.model,
        }
