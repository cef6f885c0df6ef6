"""One page: from the answers to its chunks to the spans that are suggested."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from preannotation_assets.contracts import LogprobSource
from preannotation_assets.extraction.answers import AnsweredQuote, parse_answer, readable_quotes
from preannotation_assets.extraction.calibrated import ConfidenceParts
from preannotation_assets.extraction.confidence import (
    ConfidenceSource,
    TokenScores,
    ValueProbability,
    confidence_source,
    value_confidence,
    value_probability,
)
from preannotation_assets.extraction.consistency import MarkedSpan, adjusted_confidence, agreement
from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.merging import merge
from preannotation_assets.extraction.spans import Grounding, GroundingResult, Quote, QuoteOutcome, Span
from preannotation_assets.extraction.values import OnInvalid, ValueRule, Verdict, judge, match_seconds

__all__ = [
    "ChunkAnswer",
    "JudgedQuote",
    "PageSuggestions",
    "suggest",
    "value_probabilities",
]

_NO_RULES: Final[Mapping[str, ValueRule]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ChunkAnswer:
    """What the model answered about ``page_text[start:end]``; ``answered_at`` is microseconds, UTC.

    ``logprob_source`` is a contracts.LogprobSource, None where the log-probabilities are the model's own.
    ``model`` is who answered, where several models were asked; None where one was.
    """

    start: int
    end: int
    answer: str
    token_lengths: Sequence[int] | None
    token_logprobs: Sequence[float] | None
    answered_at: int
    logprob_source: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class JudgedQuote:
    """What became of one quote: kept, or the reason why it is no suggestion.

    ``probability``, ``self_reported``, ``grounding``, ``agreement`` and ``verdict`` are the parts that
    ``confidence`` was made of; each is None where it is unknown. ``self_reported`` is the model's own digit,
    0 to 9, and counts only without a probability. ``agreement`` in [0, 1] is how far a second pass agrees.
    ``model`` is that of the answer.
    """

    chunk_start: int
    answer_index: int
    label: str
    quote: str
    outcome: QuoteOutcome
    grounding: Grounding | None
    probability: ValueProbability | None
    self_reported: int | None
    agreement: float | None
    verdict: Verdict | None
    confidence: float | None
    model: str | None = None

    @property
    def confidence_parts(self) -> ConfidenceParts | None:
        """What a calibration is applied to; None where the confidence is unknown, and stays so."""
        if self.confidence is None or self.grounding is None:
            return None
        probability = self.probability
        return ConfidenceParts(
            label=self.label,
            confidence=self.confidence,
            token_probability=probability.mean if probability else None,
            lowest_token_probability=probability.lowest if probability else None,
            similarity=self.grounding.similarity,
            agreement=self.agreement,
            verdict=self.verdict and self.verdict.value,
        )

    @property
    def confidence_source(self) -> ConfidenceSource:
        """What the confidence was made of."""
        return confidence_source(self.probability, self.self_reported)


@dataclass(frozen=True, slots=True)
class PageSuggestions:
    """The spans of a page, sorted by start, end and label; and what became of every quote."""

    spans: tuple[Span, ...]
    quotes: tuple[JudgedQuote, ...]


_Found = tuple[ChunkAnswer, JudgedQuote]


def suggest(
    page_text: str,
    answers: Sequence[ChunkAnswer],
    labels: Collection[str],
    *,
    overlaps_allowed: bool,
    rules: Mapping[str, ValueRule] = _NO_RULES,
    second_answers: Sequence[ChunkAnswer] = (),
) -> PageSuggestions:
    """Grounds the quotes of every chunk of a page and merges what they give.

    ``overlaps_allowed`` is the label scheme's word on whether spans may overlap; ``rules`` holds what
    the values of some labels must satisfy. Values are judged before spans are merged, so that a rejected
    one takes no place from another. ``second_answers`` are those of a second pass about some of the
    chunks: they change confidences, and nothing they alone name is suggested.
    """
    found = _ground_all(page_text, answers, labels)
    if second_answers:
        found = _compare(found, second_answers, _ground_all(page_text, second_answers, labels))
    seconds = match_seconds(sum(quote.label in rules for _, quote in found))
    judged = [(answer, _judge(page_text, quote, rules.get(quote.label), seconds)) for answer, quote in found]
    spans = [span for answer, quote in judged if (span := _span(answer, quote))]
    merged = merge(spans, overlaps_allowed, len(page_text))
    dropped = {_origin(drop.span): drop.reason for drop in merged.dropped}
    quotes = tuple(
        replace(quote, outcome=reason)
        if quote.outcome is QuoteOutcome.KEPT
        and (reason := dropped.get((answer.start, answer.end, quote.answer_index)))
        else quote
        for answer, quote in judged
    )
    return PageSuggestions(merged.kept, quotes)


def value_probabilities(
    answer: str,
    token_lengths: Sequence[int] | None,
    token_logprobs: Sequence[float] | None,
    logprob_source: str | None = None,
) -> list[float | None]:
    """How probable each value of an answer is, whether or not it is on the page; None where unknown."""
    scores = _token_scores(token_lengths, token_logprobs, logprob_source)
    found = [
        value_probability(scores, quote.value_start, quote.value_end) for quote in parse_answer(answer).quotes
    ]
    return [probability.mean if probability else None for probability in found]


def _origin(span: Span) -> tuple[int, int, int]:
    """The answer a span comes from, and its place in it; two chunks may begin at the same place."""
    return span.chunk_start, span.chunk_end, span.answer_index


def _ground_all(page_text: str, answers: Sequence[ChunkAnswer], labels: Collection[str]) -> list[_Found]:
    return [(answer, quote) for answer in answers for quote in _ground_chunk(page_text, answer, labels)]


def _ground_chunk(page_text: str, answer: ChunkAnswer, labels: Collection[str]) -> Iterator[JudgedQuote]:
    quotes = parse_answer(answer.answer).quotes
    known = readable_quotes(quotes, labels)
    results = ground(
        page_text[answer.start : answer.end], [Quote(quote.label, quote.text) for quote in known]
    )
    by_place = {quote.value_start: result for quote, result in zip(known, results, strict=True)}
    scores = _token_scores(answer.token_lengths, answer.token_logprobs, answer.logprob_source)
    for index, quote in enumerate(quotes):
        probability = value_probability(scores, quote.value_start, quote.value_end)
        yield _outcome(answer, index, quote, by_place.get(quote.value_start), probability)


def _outcome(
    answer: ChunkAnswer,
    index: int,
    quote: AnsweredQuote,
    result: GroundingResult | None,
    probability: ValueProbability | None,
) -> JudgedQuote:
    """What grounding made of a quote; ``result`` is None where its object has a key that is no label."""
    place = reason = confidence = None
    if isinstance(result, Grounding):
        place = _moved(result, answer.start) if answer.start else result
        confidence = value_confidence(probability, quote.self_reported, place.similarity)
    else:
        reason = QuoteOutcome.UNKNOWN_LABEL if result is None else result.reason
    return JudgedQuote(
        chunk_start=answer.start,
        answer_index=index,
        label=quote.label,
        quote=quote.text,
        outcome=reason or QuoteOutcome.KEPT,
        grounding=place,
        probability=probability,
        self_reported=quote.self_reported,
        agreement=None,
        verdict=None,
        confidence=confidence,
        model=answer.model,
    )


def _moved(place: Grounding, by: int) -> Grounding:
    return place._replace(start=place.start + by, end=place.end + by)


def _compare(
    found: Sequence[_Found], second_answers: Sequence[ChunkAnswer], seen_again: Sequence[_Found]
) -> list[_Found]:
    """Lets a model's second pass speak about its quotes in the texts that it was asked about."""
    second: dict[str | None, list[MarkedSpan]] = defaultdict(list)
    for _, quote in seen_again:
        if span := _marked(quote):
            second[quote.model].append(span)
    return [
        (answer, _compared(quote, second[quote.model]) if _was_asked_twice(quote, second_answers) else quote)
        for answer, quote in found
    ]


def _was_asked_twice(quote: JudgedQuote, second_answers: Sequence[ChunkAnswer]) -> bool:
    place = quote.grounding
    return place is not None and any(
        answer.model == quote.model and answer.start <= place.start and place.end <= answer.end
        for answer in second_answers
    )


def _compared(quote: JudgedQuote, second: Sequence[MarkedSpan]) -> JudgedQuote:
    span = _marked(quote)
    if span is None:
        return quote
    agreed = agreement(span, second)
    return replace(quote, agreement=agreed, confidence=adjusted_confidence(quote.confidence, agreed))


def _marked(quote: JudgedQuote) -> MarkedSpan | None:
    place = quote.grounding
    return MarkedSpan(quote.label, place.start, place.end) if place else None


def _judge(page_text: str, quote: JudgedQuote, rule: ValueRule | None, seconds: float) -> JudgedQuote:
    """Applies the rule of the label, last: no agreement makes an invalid value better."""
    place = quote.grounding
    if rule is None or place is None:
        return quote
    verdict = judge(rule, page_text[place.start : place.end], seconds)
    rejected = verdict is Verdict.INVALID and rule.on_invalid is OnInvalid.REJECT
    return replace(
        quote,
        outcome=QuoteOutcome.INVALID_VALUE if rejected else QuoteOutcome.KEPT,
        verdict=verdict,
        confidence=rule.adjusted(quote.confidence, verdict),
    )


def _span(answer: ChunkAnswer, quote: JudgedQuote) -> Span | None:
    place = quote.grounding
    if place is None or quote.outcome != QuoteOutcome.KEPT:
        return None
    return Span(
        label=quote.label,
        start=place.start,
        end=place.end,
        confidence=quote.confidence,
        similarity=place.similarity,
        chunk_start=answer.start,
        chunk_end=answer.end,
        answered_at=answer.answered_at,
        answer_index=quote.answer_index,
    )


def _token_scores(
    lengths: Sequence[int] | None, logprobs: Sequence[float] | None, source: str | None
) -> TokenScores | None:
    if lengths is None or logprobs is None:
        return None
    return TokenScores(lengths, logprobs, masked=source == LogprobSource.MASKED)
