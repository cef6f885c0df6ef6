"""The columns of every dataset: the one place where they are named and typed.

Offsets (``start``, ``end``) are Unicode code points in the full page text, ``end`` exclusive.
Durations are seconds. Times are UTC. A column that may be null is unknown where it is null.
"""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import pyarrow as pa

from preannotation_assets.column_words import COLUMN_DESCRIPTIONS

__all__ = [
    "ANSWERS",
    "ASKING_PLAN",
    "CHUNKS",
    "COLLECTING_PLAN",
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

# Which row of a part of the chunks.
_ROW: Final = _required("row", pa.int32())

ASKING_PLAN: Final = pa.schema(
    [
        _required("part", pa.int32()),
        _ROW,
        _required("start", pa.int32()),
        _required("end", pa.int32()),
        _required("request_key", pa.string()),
        # How often the text was cut out of one whose answers were none.
        _required("unusable_splits", pa.int32()),
    ]
)
"""What one task is to ask: one row a request, in the order of the chunks. Nobody needs it after the run."""

COLLECTING_PLAN: Final = pa.schema(
    [
        *_PAGE_KEY,
        _required("chunk_index", pa.int32()),
        _required("pass_number", pa.int32()),
        _ROW,
        _required("start", pa.int32()),
        _required("end", pa.int32()),
        _required("request_key", pa.string()),
        # The row of the answer store that counts.
        _required("status", pa.string()),
        _required("answered_at", _INSTANT),
        _required("file", pa.string()),
        _required("file_row", pa.int32()),
        # Where a cascade asked two models, whose answer stands; null where one was asked.
        pa.field("model", pa.string()),
    ]
)
"""Where the answers to one part of the chunks are: one row a request. Nobody needs it after the run."""

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
_DESCRIPTIONS: Final = COLUMN_DESCRIPTIONS
_OWN_DESCRIPTIONS: Final[Mapping[pa.Schema, Mapping[str, str]]] = {
    PAGES: {"text": "The page as it was scanned."},
    CHUNKS: {"text": "What the model is shown: exactly page_text[start:end]."},
    REQUESTS: {
        "outcome": "answered, failed, split, salvaged, or again where it was asked once more.",
        "reason": "Why the attempt gave no answer, as a code.",
        "status": "The HTTP status; null where no response came.",
    },
    COLLECTING_PLAN: {"model": "Which model of a cascade answered; null without a cascade."},
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
