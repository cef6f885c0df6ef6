"""One page: from the answers to its chunks to the spans that are suggested."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from preannotation_assets.extraction.answers import AnsweredQuote, parse_answer
from preannotation_assets.extraction.confidence import TokenScores, value_confidence
from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.merging import merge
from preannotation_assets.extraction.spans import Grounding, GroundingResult, Quote, Rejection, Span

__all__ = ["KEPT", "UNKNOWN_LABEL", "ChunkAnswer", "PageSuggestions", "QuoteOutcome", "suggest"]

KEPT: Final = "kept"
UNKNOWN_LABEL: Final = "unknown_label"


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
    """What became of one quote: kept, or the reason why it is no suggestion."""

    chunk_start: int
    answer_index: int
    label: str
    quote: str
    outcome: str
    grounding: Grounding | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class PageSuggestions:
    """The spans of a page, sorted by start, end and label; and what became of every quote."""

    spans: tuple[Span, ...]
    outcomes: tuple[QuoteOutcome, ...]


def suggest(
    page_text: str, answers: Sequence[ChunkAnswer], labels: Collection[str], *, overlaps_allowed: bool
) -> PageSuggestions:
    """Grounds the quotes of every chunk of a page and merges what they give.

    ``overlaps_allowed`` is the label scheme's word on whether spans may overlap.
    """
    found = [item for answer in answers for item in _ground_chunk(page_text, answer, labels)]
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
    page_text: str, answer: ChunkAnswer, labels: Collection[str]
) -> Iterator[tuple[QuoteOutcome, Span | None]]:
    quotes = parse_answer(answer.answer).quotes
    known = [(index, quote) for index, quote in enumerate(quotes) if quote.label in labels]
    results = ground(
        page_text[answer.start : answer.end], [Quote(quote.label, quote.text) for _, quote in known]
    )
    by_index = {index: result for (index, _), result in zip(known, results, strict=True)}
    scores = _token_scores(answer)
    for index, quote in enumerate(quotes):
        yield _outcome(answer, index, quote, by_index.get(index), scores)


def _outcome(
    answer: ChunkAnswer,
    index: int,
    quote: AnsweredQuote,
    result: GroundingResult | None,
    scores: TokenScores | None,
) -> tuple[QuoteOutcome, Span | None]:
    if not isinstance(result, Grounding):
        reason = result.reason.value if isinstance(result, Rejection) else UNKNOWN_LABEL
        return QuoteOutcome(answer.start, index, quote.label, quote.text, reason, None, None), None
    grounding = Grounding(
        result.start + answer.start, result.end + answer.start, result.match, result.similarity
    )
    confidence = value_confidence(scores, quote.value_start, quote.value_end, result.similarity)
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
    return QuoteOutcome(answer.start, index, quote.label, quote.text, KEPT, grounding, confidence), span


def _token_scores(answer: ChunkAnswer) -> TokenScores | None:
    if answer.token_lengths is None or answer.token_logprobs is None:
        return None
    return TokenScores(answer.token_lengths, answer.token_logprobs)
