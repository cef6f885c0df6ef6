"""Answers are put beside their chunks, in order, and counted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from preannotation_assets.answer_store.index import AnswerIndex, IndexedAnswer, RequestSpan
from preannotation_assets.answer_store.placed_requests import PlacedRequest, write_placed
from preannotation_assets.contracts import ANSWERS, RAW_MODEL_OUTPUTS, AnswerStatus
from preannotation_assets.errors import StorageError
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, read_table, write_table
from preannotation_assets.tasks.collect_answers import CollectAnswers, collect_answers
from preannotation_assets.tasks.count_tokens import CountedText

OUTPUTS_KEY, ANSWERS_FOLDER = "outputs/part-00000.parquet", "answers"
PLAN_KEY = "plans/part-00000.parquet"


def _answer(key: str, status: str = AnswerStatus.ANSWERED, run: str = "now", **more: Any) -> dict[str, Any]:
    return {
        **dict.fromkeys(ANSWERS.names),
        "request_key": key,
        "status": status,
        "estimated_prompt_tokens": 90,
        "attempts": 1,
        "answered_at": 7,
        "run_id": run,
        **more,
    }


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    store = open_store(StoreLocation(str(tmp_path)))
    rows = [
        _answer("a", answer="A", latency_seconds=2.0, queue_seconds=0.5, prompt_tokens=100, answer_tokens=9),
        _answer("left", answer="L", run="before", latency_seconds=9.0, prompt_tokens=80, answer_tokens=8),
        _answer("right", AnswerStatus.FAILED, reason="endless_answer"),
    ]
    write_table(store, f"{ANSWERS_FOLDER}/run/1.parquet", pa.Table.from_pylist(rows, schema=ANSWERS))
    return store


def _task(
    tmp_path: Path,
    store: ObjectStore,
    requests: list[list[RequestSpan]],
    again: Sequence[list[RequestSpan]] = (),
) -> CollectAnswers:
    index = AnswerIndex.read(store, ANSWERS_FOLDER)
    nowhere = IndexedAnswer(AnswerStatus.ANSWERED, 1, f"{ANSWERS_FOLDER}/run/1.parquet", 0, ())
    placed = [
        PlacedRequest(
            index.get(request.request_key) or nowhere,
            None,
            f"d{row}",
            1,
            0,
            number,
            row,
            request.start,
            request.end,
            request.request_key,
        )
        for number, of_pass in ((1, requests), (2, again))
        for row, of_row in enumerate(of_pass)
        for request in of_row
    ]
    write_placed(store, PLAN_KEY, placed)
    return CollectAnswers(StoreLocation(str(tmp_path)), PLAN_KEY, OUTPUTS_KEY, {"port"}, "now")


REQUESTS = [
    [RequestSpan(0, 10, "a")],
    [RequestSpan(0, 60, "left"), RequestSpan(50, 100, "right")],
    [RequestSpan(0, 10, "a")],
]


def test_one_row_a_piece_in_the_order_of_the_chunks(tmp_path: Path, store: ObjectStore) -> None:
    part = collect_answers(_task(tmp_path, store, REQUESTS))
    table = read_table(store, OUTPUTS_KEY)
    assert table.schema.equals(RAW_MODEL_OUTPUTS)
    shown = [
        (row["doc_id"], row["start"], row["end"], row["status"], row["answer"]) for row in table.to_pylist()
    ]
    assert shown == [
        ("d0", 0, 10, "answered", "A"),
        ("d1", 0, 60, "answered", "L"),
        ("d1", 50, 100, "failed", None),
        ("d2", 0, 10, "answered", "A"),
    ]
    assert (part.rows, part.answered, part.failed, part.resumed) == (4, 3, 1, 1)
    assert part.failure_reasons == {"endless_answer": 1}


def test_answers_whose_prompts_were_counted_are_told_for_the_token_estimate(
    tmp_path: Path, store: ObjectStore
) -> None:
    again: list[list[RequestSpan]] = [[RequestSpan(0, 10, "a")], [], []]
    part = collect_answers(_task(tmp_path, store, REQUESTS, again))
    # Not the one that failed, and none of a second pass, which asks the same.
    assert list(part.counted) == [
        CountedText(0, 0, 10, 100),
        CountedText(1, 0, 60, 80),
        CountedText(2, 0, 10, 100),
    ]


def test_texts_for_the_token_estimate_are_from_all_of_a_part(tmp_path: Path, store: ObjectStore) -> None:
    part = collect_answers(_task(tmp_path, store, [[RequestSpan(0, 10, "a")]] * 1000))
    assert [counted.row for counted in part.counted] == list(range(0, 1000, 4))


def test_a_second_pass_is_more_rows_and_counted_apart(tmp_path: Path, store: ObjectStore) -> None:
    first = [[RequestSpan(0, 10, "a")], [RequestSpan(0, 100, "left")], [RequestSpan(0, 10, "a")]]
    again: list[list[RequestSpan]] = [[], [RequestSpan(0, 100, "right")], []]
    part = collect_answers(_task(tmp_path, store, first, again))
    rows = read_table(store, OUTPUTS_KEY).to_pylist()
    assert [(row["doc_id"], row["pass_number"], row["status"]) for row in rows] == [
        ("d0", 1, "answered"),
        ("d1", 1, "answered"),
        ("d2", 1, "answered"),
        ("d1", 2, "failed"),
    ]
    assert (part.answered, part.failed, part.second_answered, part.second_failed) == (3, 0, 0, 1)


def test_empty_answers_are_counted_over_this_run_and_earlier_ones(tmp_path: Path, store: ObjectStore) -> None:
    empty = '{"spans":[]}'
    rows = [
        _answer("a", answer=empty),
        _answer("left", answer='{"spans":[{"port":"Hull"}]}'),
        _answer("old", answer=empty, run="before"),
        _answer("right", AnswerStatus.FAILED, reason="endless_answer"),
    ]
    write_table(store, f"{ANSWERS_FOLDER}/run/1.parquet", pa.Table.from_pylist(rows, schema=ANSWERS))
    part = collect_answers(_task(tmp_path, store, [*REQUESTS[:2], [RequestSpan(0, 10, "old")]]))
    assert (part.empty, part.answered, part.failed) == (2, 3, 1)


def test_figures_are_of_this_run_and_count_a_shared_request_once(tmp_path: Path, store: ObjectStore) -> None:
    part = collect_answers(_task(tmp_path, store, REQUESTS))
    assert (list(part.latencies), list(part.queue_times)) == ([2.0], [0.5])


def test_an_answer_that_is_missing_is_an_error_and_no_row(tmp_path: Path, store: ObjectStore) -> None:
    with pytest.raises(StorageError, match="lacks"):
        collect_answers(_task(tmp_path, store, [[RequestSpan(0, 10, "gone")], REQUESTS[1], REQUESTS[2]]))
    assert store.stat(OUTPUTS_KEY) is None


def test_an_answer_that_fits_no_label_is_a_failure_and_told_whatever_it_was_taken_for(
    tmp_path: Path, store: ObjectStore
) -> None:
    rows = [
        _answer("a", answer='{"spans":[{"label":"port","text":"Hull"}]}', prompt_tokens=5),
        _answer("left", answer='{"spans":[{"harbour":"Hull"},{"port":"Hull"}]}'),
        _answer("right", answer='{"spans":[]}'),
    ]
    for row in rows:
        row["answered_at"] = 9
    write_table(store, f"{ANSWERS_FOLDER}/run/2.parquet", pa.Table.from_pylist(rows, schema=ANSWERS))
    part = collect_answers(_task(tmp_path, store, REQUESTS))
    collected = read_table(store, OUTPUTS_KEY).to_pylist()
    assert [(row["status"], row["reason"]) for row in collected] == [
        ("failed", "invalid_answer"),
        ("answered", None),
        ("answered", None),
        ("failed", "invalid_answer"),
    ]
    assert (part.answered, part.failed, part.empty) == (2, 2, 1)
    assert part.unfit == {"a": 9}
    assert list(part.counted) == []
