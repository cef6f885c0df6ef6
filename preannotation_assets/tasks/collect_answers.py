"""Puts the answers from the store beside the chunks of one part."""

import math
from array import array
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from preannotation_assets.answer_store.index import read_answers
from preannotation_assets.answer_store.placed_requests import PlacedRequest, read_placed
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
from preannotation_assets.tasks.count_tokens import CountedText, CountedTexts
from preannotation_assets.tasks.slot_seconds import slot_seconds

__all__ = ["CollectAnswers", "CollectedPart", "collect_answers"]

_TEXTS_COUNTED: Final = 250
_PLACE_COLUMNS: Final = ("doc_id", "page_num", "chunk_index", "pass_number", "start", "end", "model")


@dataclass(frozen=True, slots=True)
class CollectAnswers:
    """One part of the chunks, by where the requests are that stand for its chunks (COLLECTING_PLAN).

    ``labels`` are those that an answer may have.
    """

    location: StoreLocation
    plan_key: str
    outputs_key: str
    labels: Collection[str]
    run_id: str


@dataclass(frozen=True, slots=True)
class CollectedPart:
    """What the part holds. The sequences are of the requests this run made, of either pass; all are compact.

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
    counted: CountedTexts
    seconds_by_model: Mapping[str, float | None]
    fetched: FetchedBytes


def collect_answers(task: CollectAnswers) -> CollectedPart:
    """Writes one row a request: pass after pass, each in the order of the chunks.

    An answer of which nothing has a label counts as a failure, whatever it was taken for when it came.

    Raises:
        StorageError: the lake cannot be read or written, or the store lacks an answer.
    """
    store = open_store(task.location)
    placed = read_placed(store, task.plan_key)
    wanted = {request.request_key: request.answer for request in placed}
    stored = {row["request_key"]: row for row in read_answers(store, wanted).to_pylist()}
    unfit = {key for key, row in stored.items() if not _fits(row, task.labels)}
    answers = {key: _as_failure(row) if key in unfit else row for key, row in stored.items()}
    missing = sum(request.request_key not in answers for request in placed)
    if missing:
        raise StorageError(f"the answer store lacks {missing} answers", "materialize raw_model_outputs again")
    rows = [_as_output(request, answers[request.request_key]) for request in placed]
    write_table(store, task.outputs_key, pa.Table.from_pylist(rows, schema=RAW_MODEL_OUTPUTS))
    first = [request for request in placed if request.pass_number == FIRST_PASS]
    times = {
        request.request_key: request.answer.answered_at for request in first if request.request_key in unfit
    }
    return _summary(rows, task.run_id, times, _counted(first, answers), store.fetched)


def _as_output(request: PlacedRequest, answer: Row) -> Row:
    return {**answer, **{name: getattr(request, name) for name in _PLACE_COLUMNS}}


def _fits(row: Row, labels: Collection[str]) -> bool:
    """Whether a row of the store is what it says: its answer may have been made to another schema."""
    return row["status"] != AnswerStatus.ANSWERED or fits_labels(parse_answer(row["answer"]).quotes, labels)


def _as_failure(row: Row) -> Row:
    return {**row, "status": AnswerStatus.FAILED, "reason": INVALID_ANSWER}


def _counted(first: Sequence[PlacedRequest], answers: Mapping[str, Mapping[str, Any]]) -> CountedTexts:
    """Texts from all of the part, evenly."""
    counted = [
        CountedText(request.row, request.start, request.end, answer["prompt_tokens"])
        for request in first
        if (answer := answers[request.request_key])["status"] == AnswerStatus.ANSWERED
        and answer["prompt_tokens"]
    ]
    return CountedTexts.of(counted[:: math.ceil(len(counted) / _TEXTS_COUNTED) or 1])


def _summary(
    rows: Sequence[Mapping[str, Any]],
    run_id: str,
    unfit: Mapping[str, int],
    counted: CountedTexts,
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
        latencies=array("f", (seconds for row in now if (seconds := row["latency_seconds"]) is not None)),
        queue_times=array("f", (seconds for row in now if (seconds := row["queue_seconds"]) is not None)),
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
