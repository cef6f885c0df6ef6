"""The columns of every dataset: the one place where they are named and typed.

Offsets (``start``, ``end``) are Unicode code points in the full page text, ``end`` exclusive.
Durations are seconds. Times are UTC. A column that may be null is unknown where it is null.
"""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import pyarrow as pa

__all__ = [
    "ANSWERS",
    "CHUNKS",
    "DECISIONS",
    "FIRST_PASS",
    "GROUNDINGS",
    "INVALID_ANSWER",
    "PAGES",
    "RAW_MODEL_OUTPUTS",
    "REQUESTS",
    "RESPONSES",
    "REVIEW_ORDER",
    "SALVAGED",
    "SECOND_PASS",
    "SUGGESTIONS",
    "SUGGESTIONS_SORT",
    "UNUSABLE_REASONS",
    "AnswerStatus",
    "AttemptOutcome",
    "LogprobSource",
    "column_descriptions",
    "schema_fingerprint",
    "span_id",
]


def _required(name: str, data_type: pa.DataType) -> pa.Field:
    return pa.field(name, data_type, nullable=False)


_PAGE_KEY: Final = (_required("doc_id", pa.string()), _required("page_num", pa.int32()))
_INSTANT: Final = pa.timestamp("us", tz="UTC")

PAGES: Final = pa.schema([*_PAGE_KEY, _required("text", pa.string()), _required("text_sha256", pa.string())])
"""The snapshot of a batch, sorted by doc_id, page_num; one row a page whose text hash is right."""

CHUNKS: Final = pa.schema(
    [
        *_PAGE_KEY,
        _required("chunk_index", pa.int32()),
        _required("start", pa.int32()),
        _required("end", pa.int32()),
        _required("text", pa.string()),
        _required("chunk_sha256", pa.string()),
        _required("estimated_tokens", pa.int32()),
    ]
)
"""The texts the model is shown; ``text`` is exactly ``page_text[start:end]``."""


class AnswerStatus(StrEnum):
    """What became of a request.

    ``SPLIT`` says that the text was too long, or its answer was: the parts in ``pieces`` were asked instead.
    """

    ANSWERED = "answered"
    FAILED = "failed"
    SPLIT = "split"


class AttemptOutcome(StrEnum):
    """What became of one attempt.

    ``SALVAGED`` is a split of which the part that was answered is kept; after ``AGAIN`` the same text is
    asked about once more.
    """

    ANSWERED = "answered"
    FAILED = "failed"
    SPLIT = "split"
    SALVAGED = "salvaged"
    AGAIN = "again"


class LogprobSource(StrEnum):
    """What log-probabilities are of, where they are not the model's own over all of its tokens.

    ``MASKED`` ones are of the tokens that the server's grammar had left: 0.0 may mean that it left one.
    """

    MASKED = "masked"


FIRST_PASS: Final = 1
SECOND_PASS: Final = 2
"""The pass about the chunks whose first answer is doubtful."""

SALVAGED: Final = "salvaged"
"""The reason of an answer that is the complete part of one that was cut off: see docs/inference.md."""

INVALID_ANSWER: Final = "invalid_answer"
"""The reason of a failure where there was a reply and no answer in it that could be read, or kept."""

UNUSABLE_REASONS: Final = frozenset({"not_done", "empty_answer", INVALID_ANSWER, "endless_answer"})
"""The reasons of a failure or a split where there were replies and no answer in them (docs/inference.md)."""

# A part of a text that was split; the offsets count from the start of that text.
_PART: Final = pa.struct(
    [
        _required("start", pa.int32()),
        _required("end", pa.int32()),
        _required("request_key", pa.string()),
    ]
)

_ANSWER: Final = (
    _required("request_key", pa.string()),
    # An AnswerStatus.
    _required("status", pa.string()),
    # A reason code where the status is failed or split; "salvaged" or null where it is answered.
    pa.field("reason", pa.string()),
    # The message content, byte for byte as the model gave it; of a salvaged one its beginning, closed.
    pa.field("answer", pa.string()),
    # Code points and natural log-probability of every token of the answer, in order; not a number where the
    # server's is none, or its token is a part of a character.
    pa.field("token_lengths", pa.list_(pa.int32())),
    pa.field("token_logprobs", pa.list_(pa.float32())),
    pa.field("prompt_tokens", pa.int32()),
    pa.field("answer_tokens", pa.int32()),
    # The estimate of prompt_tokens that was made before asking.
    _required("estimated_prompt_tokens", pa.int32()),
    _required("attempts", pa.int32()),
    pa.field("endpoint", pa.string()),
    pa.field("latency_seconds", pa.float64()),
    pa.field("queue_seconds", pa.float64()),
    _required("answered_at", _INSTANT),
    _required("run_id", pa.string()),
)
# A LogprobSource; null where token_logprobs are the model's own, as all were before there was the column.
_LOGPROB_SOURCE: Final = pa.field("logprob_source", pa.string())

ANSWERS: Final = pa.schema([*_ANSWER, pa.field("pieces", pa.list_(_PART)), _LOGPROB_SOURCE])
"""The answer store: one row an answer or a failure, written within seconds of its arrival."""

RAW_MODEL_OUTPUTS: Final = pa.schema(
    [
        *_PAGE_KEY,
        _required("chunk_index", pa.int32()),
        # 1, or 2 where the chunk was asked about again because its answer was doubtful.
        _required("pass_number", pa.int32()),
        _required("start", pa.int32()),
        _required("end", pa.int32()),
        *_ANSWER,
        _LOGPROB_SOURCE,
        pa.field("model", pa.string()),
    ]
)
"""One row a chunk and pass, or a part of a chunk that was split, with what the model answered."""

REQUESTS: Final = pa.schema(
    [
        _required("request_key", pa.string()),
        _required("run_id", pa.string()),
        # The number of the Spark task that asked, from 0, and of its attempt at this text, from 1.
        _required("task", pa.int32()),
        _required("attempt", pa.int32()),
        _required("endpoint", pa.string()),
        # An AttemptOutcome.
        _required("outcome", pa.string()),
        pa.field("reason", pa.string()),
        # Of HTTP; null where no response came.
        pa.field("status", pa.int32()),
        _required("started_at", _INSTANT),
        # From sending to the last byte, or to the loss of the connection.
        pa.field("latency_seconds", pa.float64()),
        # What the server reports; it leaves out durations of zero.
        pa.field("queue_seconds", pa.float64()),
        pa.field("load_seconds", pa.float64()),
        pa.field("prompt_seconds", pa.float64()),
        pa.field("answer_seconds", pa.float64()),
        pa.field("prompt_tokens", pa.int32()),
        pa.field("answer_tokens", pa.int32()),
        pa.field("estimated_prompt_tokens", pa.int32()),
        # Of prompt_tokens; null where the server does not say.
        pa.field("cached_tokens", pa.int32()),
    ]
)
"""Telemetry: one row an attempt. Answers are in the answer store; here the last seconds may be missing."""

GROUNDINGS: Final = pa.schema(
    [
        *_PAGE_KEY,
        # Page offset of the text the model was shown, and the quote's place in its answer.
        _required("chunk_start", pa.int32()),
        _required("answer_index", pa.int32()),
        _required("label", pa.string()),
        _required("quote", pa.string()),
        # A QuoteOutcome (extraction/spans.py): kept, or why the quote is no suggestion.
        _required("outcome", pa.string()),
        pa.field("start", pa.int32()),
        pa.field("end", pa.int32()),
        pa.field("match", pa.string()),
        pa.field("similarity", pa.float32()),
        # Of the tokens of the value: the geometric mean of their probabilities, the least, how many.
        pa.field("token_probability", pa.float32()),
        pa.field("lowest_token_probability", pa.float32()),
        pa.field("value_tokens", pa.int32()),
        # The model's own digit, 0 to 9, where it was asked for one; counts only without the three above.
        pa.field("self_reported", pa.int32()),
        # Characters shared with a second pass by those of both; null where there was none.
        pa.field("agreement", pa.float32()),
        # valid or invalid by the label's rule; null where there is none, or it could not tell.
        pa.field("value_verdict", pa.string()),
        # What is made of the above, without a calibration.
        pa.field("confidence", pa.float32()),
        pa.field("model", pa.string()),
    ]
)
"""What became of every quote: the working data beside the suggestions."""

SUGGESTIONS: Final = pa.schema(
    [
        *_PAGE_KEY,
        _required("span_id", pa.string()),
        _required("label", pa.string()),
        _required("start", pa.int32()),
        _required("end", pa.int32()),
        _required("text", pa.string()),
        _required("text_sha256", pa.string()),
        pa.field("confidence", pa.float32()),
        _required("model", pa.string()),
        _required("model_version", pa.string()),
        _required("generated_at", _INSTANT),
    ]
)
"""What is published: exactly these twelve columns (sql/motherduck/PREANNOTATION_SCHEMA.md)."""

SUGGESTIONS_SORT: Final = ("doc_id", "page_num", "start")
"""The order of the published rows; ties are in the order of end, then label."""

# Fields of whoever wrote them may be null; that they are not is looked at row by row.
_MARKED_SPAN: Final = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("label", pa.string())])

REVIEW_ORDER: Final = pa.schema(
    [
        *_PAGE_KEY,
        # Null of a page that failed.
        pa.field("text_sha256", pa.string()),
        _required("rank", pa.int32()),
        _required("suggestions", pa.int32()),
        # Null where nothing is known.
        pa.field("expected_actions", pa.float32()),
        # A ReviewReason (publishing/review_order.py).
        _required("reason", pa.string()),
        _required("model", pa.string()),
        _required("model_version", pa.string()),
    ]
)
"""Which page to review first: one row a page of what is published, by rank."""

RESPONSES: Final = pa.schema(
    [
        *_PAGE_KEY,
        _required("text_sha256", pa.string()),
        _required("annotator", pa.string()),
        # A ResponseStatus (evaluation/responses.py).
        _required("status", pa.string()),
        pa.field("submitted_at", _INSTANT),
        # Empty where the page was reviewed and nothing is marked.
        pa.field("spans", pa.list_(_MARKED_SPAN)),
    ]
)
"""What experts answered: one row a page and expert. Others write it (docs/argilla-export.md)."""

DECISIONS: Final = pa.schema(
    [
        *_PAGE_KEY,
        _required("text_sha256", pa.string()),
        # A Fate (evaluation/actions.py), or added.
        _required("action", pa.string()),
        # The suggestion; null of what was added.
        pa.field("label", pa.string()),
        pa.field("start", pa.int32()),
        pa.field("end", pa.int32()),
        pa.field("confidence", pa.float32()),
        # The span that it became; null of what was deleted.
        pa.field("gold_label", pa.string()),
        pa.field("gold_start", pa.int32()),
        pa.field("gold_end", pa.int32()),
        # A Loss (evaluation/losses.py) of what was added.
        pa.field("loss", pa.string()),
        _required("model", pa.string()),
        _required("model_version", pa.string()),
    ]
)
"""What experts did to every suggestion, and what they added, by the last evaluation; without texts."""

# Not in the schemas' own metadata, which would be written into every file: a description that is worded
# better must not change what is published.
_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "action": "What the expert did to it: kept, changed, deleted; or added.",
    "agreement": "How far a second pass marked the same, from 0 to 1; null where there was none.",
    "annotator": "Who answered, by the name in Argilla.",
    "answer": "The message as the model gave it; of a salvaged one its beginning, closed.",
    "answer_index": "The quote's place in the model's answer, from 0.",
    "answer_seconds": "What the server took to write the answer.",
    "answer_tokens": "Tokens of the answer, as the server counted them.",
    "answered_at": "When the last byte of the answer came.",
    "attempt": "The attempt at this text within the task, from 1.",
    "attempts": "How many requests it took.",
    "cached_tokens": "Tokens of the prompt that the server had read before.",
    "chunk_index": "The chunk's place on its page, from 0.",
    "chunk_sha256": "SHA-256 of the chunk's text in UTF-8; chunks of one text share a request.",
    "chunk_start": "Where the text that the model was shown begins on the page, code points.",
    "confidence": "How sure the suggestion is, from 0 to 1; null where the model has not shown it.",
    "doc_id": "The document, as in the warehouse.",
    "end": "Where it ends on the page, code points, exclusive.",
    "endpoint": "The model server that was asked.",
    "estimated_prompt_tokens": "The estimate for the whole prompt, made before asking.",
    "estimated_tokens": "The estimate for the chunk's text, calibrated to the model.",
    "generated_at": "When the model answered.",
    "expected_actions": "What an expert will have to do to its suggestions; null where nothing is known.",
    "gold_end": "Where the span that counts as right ends, code points, exclusive.",
    "gold_label": "The label that counts as right; null where the suggestion was deleted.",
    "gold_start": "Where the span that counts as right begins, code points.",
    "label": "One of the label scheme.",
    "latency_seconds": "From sending the request to the last byte, or to the loss of the connection.",
    "load_seconds": "What the server took to load the model.",
    "logprob_source": "masked where a grammar had narrowed the choice; null where they are the model's own.",
    "loss": "The stage at which an added span was lost; null of others.",
    "lowest_token_probability": "The probability of the value's least likely token.",
    "match": "How the quote was found: exact, folded or fuzzy; null where it was not.",
    "model": "The model's name, such as llama3.3:70b.",
    "model_version": "The model's manifest digest, the prompt's version, and the calibration if any.",
    "outcome": "Kept, or the reason why the quote is no suggestion.",
    "page_num": "The page's number, as in the warehouse.",
    "pass_number": "1; 2 where a doubtful answer was asked for again.",
    "pieces": "The parts a text was split into: offsets in it, and the request for each.",
    "prompt_seconds": "What the server took to read the prompt.",
    "prompt_tokens": "Tokens of the prompt, as the server counted them.",
    "queue_seconds": "What the request waited for a slot of the server.",
    "quote": "What the model says stands on the page.",
    "rank": "The page's place in the order, from 1.",
    "reason": "Why it failed or was split, as a code; salvaged where a cut answer was saved in part.",
    "request_key": "Names the question: model digest, prompt, options and text.",
    "run_id": "The Dagster run that asked.",
    "self_reported": "The digit by which the model rated its own answer, 0 to 9; null where none was asked.",
    "similarity": "How well the quote matches the page, 1 for exactly.",
    "span_id": "doc_id:page_num:SHA-1 of start:end:label.",
    "spans": "Start, end and label of each span that was marked; empty where none was.",
    "start": "Where it begins on the page, code points from 0.",
    "started_at": "When the request was sent.",
    "status": "answered, failed, or split into parts.",
    "submitted_at": "When the expert answered last.",
    "suggestions": "How many spans are published of the page.",
    "task": "The Spark task that asked, from 0.",
    "text": "The text itself.",
    "text_sha256": "SHA-256 of the whole page's text in UTF-8, as in the warehouse.",
    "token_lengths": "Code points of each token of the answer, in order.",
    "token_logprobs": "Natural log-probability of each token of the answer, in order.",
    "token_probability": "The geometric mean probability of the value's tokens.",
    "value_tokens": "How many tokens the value has.",
    "value_verdict": "valid or invalid by the label's rule; null where there is none, or it cannot tell.",
}
_OWN_DESCRIPTIONS: Final[Mapping[pa.Schema, Mapping[str, str]]] = {
    PAGES: {"text": "The page as it was scanned."},
    CHUNKS: {"text": "What the model is shown: exactly page_text[start:end]."},
    REQUESTS: {
        "outcome": "answered, failed, split, salvaged, or again where it was asked once more.",
        "reason": "Why the attempt gave no answer, as a code.",
        "status": "The HTTP status; null where no response came.",
    },
    GROUNDINGS: {"model": "Which model of a cascade named it; null without a cascade."},
    RAW_MODEL_OUTPUTS: {"model": "Which model of a cascade answered; null without a cascade."},
    RESPONSES: {"status": "submitted, draft or discarded, as Argilla has it."},
    REVIEW_ORDER: {"reason": "Why it has that rank, as a code."},
    SUGGESTIONS: {"text": "What is marked: exactly page_text[start:end]."},
}


def column_descriptions(schema: pa.Schema) -> dict[str, str]:
    """A line about every column of one of the schemas above; empty for a column nobody has described."""
    described = {**_DESCRIPTIONS, **_OWN_DESCRIPTIONS.get(schema, {})}
    return {name: described.get(name, "") for name in schema.names}


def schema_fingerprint(schema: pa.Schema) -> str:
    """A hash of the columns' names, types and whether they may be null, in their order."""
    columns = [(column.name, str(column.type), column.nullable) for column in schema]
    return hashlib.sha256(repr(columns).encode()).hexdigest()


def span_id(doc_id: str, page_num: int, start: int, end: int, label: str) -> str:
    """The id of a span. The separators keep (1, 123) and (11, 23) of one label apart."""
    digest = hashlib.sha1(f"{start}:{end}:{label}".encode(), usedforsecurity=False).hexdigest()
    return f"{doc_id}:{page_num}:{digest}"
