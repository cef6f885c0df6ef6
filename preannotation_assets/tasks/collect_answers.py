"""Puts the answers from the store beside the chunks of one part."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from preannotation_assets.answer_store.index import IndexedAnswer, RequestSpan, read_answers
from preannotation_assets.contracts import (
    FIRST_PASS,
    INVALID_ANSWER,
    RAW_MODEL_OUTPUTS,
    SALVAGED,
    SECOND_PASS,
    AnswerStatus,
)
from preannotation_assets.errors import StorageError
from preannotation_assets.extraction.answers import fits_labels, is_empty_answer, parse_answer
from preannotation_assets.lake import FetchedBytes, Row, StoreLocation, open_store, write_table
from preannotation_assets.tasks.count_tokens import CountedText
from preannotation_assets.tasks.slot_seconds import slot_seconds

__all__ = ["CollectAnswers", "CollectedPart", "collect_answers"]

_TEXTS_COUNTED: Final = 250


@dataclass(frozen=True, slots=True)
class CollectAnswers:
    """For every pass and every row of a part of the chunks, the requests that stand for it.

    ``chunks`` has the doc_id, page_num and chunk_index of those rows. A second pass has no requests for
    most of them. ``answers`` says where in the store the row of a request is. ``labels`` are those that an
    answer may have. ``models`` names by row whose answers stand, where a cascade asked two models.
    """

    location: StoreLocation
    chunks: pa.Table
    outputs_key: str
    passes: Mapping[int, Sequence[Sequence[RequestSpan]]]
    answers: Mapping[str, IndexedAnswer]
    labels: Collection[str]
    run_id: str
    models: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CollectedPart:
    """What the part holds. The sequences are of the requests this run made, of either pass.

    ``answered``, ``failed`` and ``resumed`` count first answers, ``second_answered`` and ``second_failed``
    those of a second pass; ``empty`` of the answered first ones name nothing. Latencies and queue times are
    seconds; ``unfit`` are the first answers that fit no label, and when they came, microseconds;
    ``counted`` are up to 250 answered texts, of this run and of earlier ones, whose prompts the server has
    counted; ``seconds_by_model`` what first requests took of slots, where a cascade asked two models, None
    where a server did not tell.
    """

    rows: int
    answered: int
    failed: int
    resumed: int
    empty: int
    second_answered: int
    second_failed: int
    failure_reasons: Mapping[str, int]
    latencies: Sequence[float]
    queue_times: Sequence[float]
    unfit: Mapping[str, int]
    counted: Sequence[CountedText]
    seconds_by_model: Mapping[str, float | None]
    fetched: FetchedBytes


def collect_answers(task: CollectAnswers) -> CollectedPart:
    """Writes one row a request: pass after pass, each in the order of the chunks.

    An answer of which nothing has a label counts as a failure, whatever it was taken for when it came.

    Raises:
        StorageError: the lake cannot be read or written, or the store lacks an answer.
    """
    store = open_store(task.location)
    chunks = task.chunks.to_pylist()
    stored = {row["request_key"]: row for row in read_answers(store, task.answers).to_pylist()}
    unfit = {key for key, row in stored.items() if not _fits(row, task.labels)}
    answers = {key: _as_failure(row) if key in unfit else row for key, row in stored.items()}
    placed = [
        (pass_number, chunk | {"model": task.models.get(number)}, request)
        for pass_number, by_row in sorted(task.passes.items())
        for number, (chunk, requests) in enumerate(zip(chunks, by_row, strict=True))
        for request in requests
    ]
    missing = sum(request.request_key not in answers for _, _, request in placed)
    if missing:
        raise StorageError(f"the answer store lacks {missing} answers", "materialize raw_model_outputs again")
    rows = [
        {
            **chunk,
            **answers[request.request_key],
            "pass_number": pass_number,
            "start": request.start,
            "end": request.end,
        }
        for pass_number, chunk, request in placed
    ]
    write_table(store, task.outputs_key, pa.Table.from_pylist(rows, schema=RAW_MODEL_OUTPUTS))
    times = {
        request.request_key: task.answers[request.request_key].answered_at
        for pass_number, _, request in placed
        if pass_number == FIRST_PASS and request.request_key in unfit
    }
    return _summary(rows, task.run_id, times, _counted(task, answers), store.fetched)


def _fits(row: Row, labels: Collection[str]) -> bool:
    """Whether a row of the store is what it says: its answer may have been made to another schema."""
    return row["status"] != AnswerStatus.ANSWERED or fits_labels(parse_answer(row["answer"]).quotes, labels)


def _as_failure(row: Row) -> Row:
    return {**row, "status": AnswerStatus.FAILED, "reason": INVALID_ANSWER}


def _counted(task: CollectAnswers, answers: Mapping[str, Mapping[str, Any]]) -> list[CountedText]:
    """Texts from all of the part, evenly."""
    counted = [
        CountedText(row, request.start, request.end, answer["prompt_tokens"])
        for row, requests in enumerate(task.passes.get(FIRST_PASS, ()))
        for request in requests
        if (answer := answers[request.request_key])["status"] == AnswerStatus.ANSWERED
        and answer["prompt_tokens"]
    ]
    return counted[:: math.ceil(len(counted) / _TEXTS_COUNTED) or 1]


def _summary(
    rows: Sequence[Mapping[str, Any]],
    run_id: str,
    unfit: Mapping[str, int],
    counted: Sequence[CountedText],
    fetched: FetchedBytes,
) -> CollectedPart:
    answered = [row for row in rows if row["status"] == AnswerStatus.ANSWERED]
    failed = [row for row in rows if row["status"] == AnswerStatus.FAILED]
    # Chunks with the same text share one request.
    now = {row["request_key"]: row for row in answered if row["run_id"] == run_id}.values()
    return CollectedPart(
        rows=len(rows),
        answered=_of_pass(FIRST_PASS, answered),
        failed=_of_pass(FIRST_PASS, failed),
        empty=_of_pass(FIRST_PASS, [row for row in answered if is_empty_answer(row["answer"])]),
        resumed=_of_pass(FIRST_PASS, [row for row in answered if row["run_id"] != run_id]),
        second_answered=_of_pass(SECOND_PASS, answered),
        second_failed=_of_pass(SECOND_PASS, failed),
        failure_reasons=dict(Counter(row["reason"] for row in failed)),
        latencies=[row["latency_seconds"] for row in now if row["latency_seconds"] is not None],
        queue_times=[row["queue_seconds"] for row in now if row["queue_seconds"] is not None],
        unfit=unfit,
        counted=counted,
        seconds_by_model=_seconds_by_model(rows),
        fetched=fetched,
    )


def _seconds_by_model(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    first = [row for row in rows if row["pass_number"] == FIRST_PASS]
    models = {row["model"] for row in first} - {None}
    return {
        model: slot_seconds(row for row in first if row["model"] == model and row["reason"] != SALVAGED)
        for model in sorted(models)
    }


def _of_pass(pass_number: int, rows: Sequence[Mapping[str, Any]]) -> int:
    return sum(row["pass_number"] == pass_number for row in rows)
