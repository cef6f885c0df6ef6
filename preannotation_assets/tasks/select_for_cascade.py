"""Finds the chunks of one part whose small model's answer is doubtful, so that the large one is asked."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from preannotation_assets.answer_store.index import read_answers
from preannotation_assets.answer_store.placed_requests import PlacedRequest, read_placed
from preannotation_assets.contracts import CHUNKS, FIRST_PASS, SALVAGED, AnswerStatus
from preannotation_assets.extraction.answers import fits_labels, parse_answer
from preannotation_assets.extraction.calibrated import Calibration
from preannotation_assets.extraction.cascade import CascadeRule, Doubt, SmallAnswer
from preannotation_assets.extraction.suggesting import ChunkAnswer, suggest
from preannotation_assets.extraction.values import ValueRule
from preannotation_assets.lake import FetchedBytes, Row, StoreLocation, open_store, read_table_as
from preannotation_assets.tasks.slot_seconds import slot_seconds

__all__ = ["DoubtedRows", "SelectForCascade", "select_for_cascade"]

_CHUNK_COLUMNS: Final = ("start", "text")
_SCORED: Final = ("answer", "token_lengths", "token_logprobs", "logprob_source")


@dataclass(slots=True)
class _ChunkRequests:
    """The requests that stand for a chunk at the small model: those of the first pass, and of a second."""

    first: list[PlacedRequest] = field(default_factory=list)
    second: list[PlacedRequest] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SelectForCascade:
    """One part of the chunks, by where the requests are that stand for its chunks (COLLECTING_PLAN).

    ``labels``, ``overlaps_allowed`` and ``rules`` are those that suggestions are made by, ``calibration``
    what the small model's confidences are worth by; ``rule`` decides.
    """

    location: StoreLocation
    plan_key: str
    chunks_key: str
    labels: Sequence[str]
    overlaps_allowed: bool
    rules: Mapping[str, ValueRule]
    calibration: Calibration | None
    rule: CascadeRule


@dataclass(frozen=True, slots=True)
class DoubtedRows:
    """Why the large model is asked, by row; the small one's answer stands for the rows that are not here.

    ``kept_seconds`` and ``doubted_seconds`` are what slots of the small model took for the rows of either
    kind, each request once; None where a server did not tell of one.
    """

    doubts: Mapping[int, Doubt]
    kept_seconds: float | None
    doubted_seconds: float | None
    fetched: FetchedBytes


def select_for_cascade(task: SelectForCascade) -> DoubtedRows:
    """Reads and grounds the small model's answers about one part, and judges them.

    Raises:
        StorageError: the chunks or the answer store cannot be read.
    """
    store = open_store(task.location)
    chunks = read_table_as(store, task.chunks_key, CHUNKS, _CHUNK_COLUMNS).to_pylist()
    placed = read_placed(store, task.plan_key)
    wanted = {request.request_key: request.answer for request in placed}
    rows = {row["request_key"]: row for row in read_answers(store, wanted).to_pylist()}
    by_chunk = _by_chunk(placed)
    judged = {
        number: task.rule.doubt(_small_answer(task, chunks[number], requests, rows))
        for number, requests in by_chunk.items()
    }
    doubts = {number: doubt for number, doubt in judged.items() if doubt is not None}
    return DoubtedRows(
        doubts=doubts,
        kept_seconds=_seconds(by_chunk, by_chunk.keys() - doubts.keys(), rows),
        doubted_seconds=_seconds(by_chunk, doubts.keys(), rows),
        fetched=store.fetched,
    )


def _by_chunk(placed: Iterable[PlacedRequest]) -> dict[int, _ChunkRequests]:
    by_chunk: defaultdict[int, _ChunkRequests] = defaultdict(_ChunkRequests)
    for request in placed:
        of_chunk = by_chunk[request.row]
        (of_chunk.first if request.pass_number == FIRST_PASS else of_chunk.second).append(request)
    return by_chunk


def _small_answer(
    task: SelectForCascade, chunk: Row, requests: _ChunkRequests, rows: Mapping[str, Row]
) -> SmallAnswer:
    first = [rows.get(request.request_key) for request in requests.first]
    if not all(row and _is_answer(row, task.labels) for row in first):
        return SmallAnswer.missing(Doubt.NOT_ANSWERED)
    if len(first) != 1 or any(row and row["reason"] == SALVAGED for row in first):
        return SmallAnswer.missing(Doubt.CUT_OFF)
    found = suggest(
        chunk["text"],
        list(_chunk_answers(chunk["start"], requests.first, rows)),
        task.labels,
        overlaps_allowed=task.overlaps_allowed,
        rules=task.rules,
        second_answers=list(_chunk_answers(chunk["start"], requests.second, rows)),
    )
    return SmallAnswer.of(found, task.calibration)


def _is_answer(row: Row, labels: Collection[str]) -> bool:
    """Whether it is what it says: an earlier release may have kept what was made to another schema."""
    is_answered = row["status"] == AnswerStatus.ANSWERED
    return is_answered and fits_labels(parse_answer(row["answer"]).quotes, labels)


def _chunk_answers(
    chunk_start: int, requests: Sequence[PlacedRequest], rows: Mapping[str, Row]
) -> Iterator[ChunkAnswer]:
    """The answers, with the offsets of the chunk's text."""
    for request in requests:
        row = rows.get(request.request_key)
        if row and row["status"] == AnswerStatus.ANSWERED:
            yield ChunkAnswer(
                start=request.start - chunk_start,
                end=request.end - chunk_start,
                answered_at=0,
                **{name: row[name] for name in _SCORED},
            )


def _seconds(
    by_chunk: Mapping[int, _ChunkRequests], numbers: Iterable[int], rows: Mapping[str, Row]
) -> float | None:
    keys = {request.request_key for number in numbers for request in by_chunk[number].first}
    return slot_seconds(rows[key] for key in keys if key in rows)
