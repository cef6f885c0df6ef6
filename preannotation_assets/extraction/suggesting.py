"""One page: from the answers to its chunks to the spans that are suggested."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from preannotation_assets.extraction.answers import AnsweredQuote, parse_answer
from preannotation_assets.extraction.confidence import (
    TokenScores,
    ValueProbability,
    value_confidence,
    value_probability,
)
from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.merging import merge
from preannotation_assets.extraction.spans import Grounding, Quote, Rejection, Span
from preannotation_assets.extraction.values import OnInvalid, ValueRule, Verdict, judge

__all__ = [
    "INVALID_VALUE",
    "KEPT",
    "UNKNOWN_LABEL",
    "ChunkAnswer",
    "PageSuggestions",
    "QuoteOutcome",
    "suggest",
]

KEPT: Final = "kept"
UNKNOWN_LABEL: Final = "unknown_label"
INVALID_VALUE: Final = "invalid_value"

_NO_RULES: Final[Mapping[str, ValueRule]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ChunkAnswer:
    """What the model answered about ``page_text[start:end]``; ``answered_at`` is microseconds, UTC."""

    start: int
    end: int
    answer: str
    token_lengths: Sequence[int] | None
    token_logprobs: Sequence[float] | None
    answered_at: int


@dataclass(frozen=True, slots=True)
class QuoteOutcome:
    """What became of one quote: kept, or the reason why it is no suggestion.

    ``probability``, ``grounding`` and ``verdict`` are the parts that ``confidence`` was made of; each is
    None where it is unknown.
    """

    chunk_start: int
    answer_index: int
    label: str
    quote: str
    outcome: str
    grounding: Grounding | None
    probability: ValueProbability | None
    verdict: Verdict | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class PageSuggestions:
    """The spans of a page, sorted by start, end and label; and what became of every quote."""

    spans: tuple[Span, ...]
    outcomes: tuple[QuoteOutcome, ...]


def suggest(
    page_text: str,
    answers: Sequence[ChunkAnswer],
    labels: Collection[str],
    *,
    overlaps_allowed: bool,
    rules: Mapping[str, ValueRule] = _NO_RULES,
) -> PageSuggestions:
    """Grounds the quotes of every chunk of a page and merges what they give.

    ``overlaps_allowed`` is the label scheme's word on whether spans may overlap; ``rules`` holds what
    the values of some labels must satisfy. Values are judged before spans are merged, so that a rejected
    one takes no place from another.
    """
    found = [item for answer in answers for item in _ground_chunk(page_text, answer, labels, rules)]
    merged = merge([span for _, span in found if span], overlaps_allowed, len(page_text))
    dropped = {_origin(drop.span): drop.reason.value for drop in merged.dropped}
    outcomes = tuple(
        outcome if span is None else replace(outcome, outcome=dropped.get(_origin(span), KEPT))
        for outcome, span in found
    )
    return PageSuggestions(merged.kept, outcomes)


def _origin(span: Span) -> tuple[int, int, int]:
    """The answer a span comes from, and its place in it; two chunks may begin at the same place."""
    return span.chunk_start, span.chunk_end, span.answer_index


def _ground_chunk(
    page_text: str, answer: ChunkAnswer, labels: Collection[str], rules: Mapping[str, ValueRule]
) -> Iterator[tuple[QuoteOutcome, Span | None]]:
    quotes = parse_answer(answer.answer).quotes
    known = [(index, quote) for index, quote in enumerate(quotes) if quote.label in labels]
    results = ground(
        page_text[answer.start : answer.end], [Quote(quote.label, quote.text) for _, quote in known]
    )
    by_index = {index: result for (index, _), result in zip(known, results, strict=True)}
    scores = _token_scores(answer)
    for index, quote in enumerate(quotes):
        probability = value_probability(scores, quote.value_start, quote.value_end)
        result = by_index.get(index)
        if isinstance(result, Grounding):
            yield _grounded(page_text, answer, index, quote, result, probability, rules.get(quote.label))
        else:
            yield _not_grounded(answer, index, quote, result, probability), None


def _not_grounded(
    answer: ChunkAnswer,
    index: int,
    quote: AnsweredQuote,
    rejection: Rejection | None,
    probability: ValueProbability | None,
) -> QuoteOutcome:
    reason = UNKNOWN_LABEL if rejection is None else rejection.reason.value
    return QuoteOutcome(answer.start, index, quote.label, quote.text, reason, None, probability, None, None)


def _grounded(
    page_text: str,
    answer: ChunkAnswer,
    index: int,
    quote: AnsweredQuote,
    found: Grounding,
    probability: ValueProbability | None,
    rule: ValueRule | None,
) -> tuple[QuoteOutcome, Span | None]:
    grounding = replace(found, start=found.start + answer.start, end=found.end + answer.start)
    confidence = value_confidence(probability, grounding.similarity)
    verdict = judge(rule, page_text[grounding.start : grounding.end])
    rejected = rule is not None and verdict is Verdict.INVALID and rule.on_invalid is OnInvalid.REJECT
    if rule is not None:
        confidence = rule.adjusted(confidence, verdict)
    outcome = QuoteOutcome(
        chunk_start=answer.start,
        answer_index=index,
        label=quote.label,
        quote=quote.text,
        outcome=INVALID_VALUE if rejected else KEPT,
        grounding=grounding,
        probability=probability,
        verdict=verdict,
        confidence=confidence,
    )
    if rejected:
        return outcome, None
    span = Span(
        label=quote.label,
        start=grounding.start,
        end=grounding.end,
        confidence=confidence,
        similarity=grounding.similarity,
        chunk_start=answer.start,
        chunk_end=answer.end,
        answered_at=answer.answered_at,
        answer_index=index,
    )
    return outcome, span


def _token_scores(answer: ChunkAnswer) -> TokenScores | None:
    if answer.token_lengths is None or answer.token_logprobs is None:
        return None
    return TokenScores(answer.token_lengths, answer.token_logprobs)
