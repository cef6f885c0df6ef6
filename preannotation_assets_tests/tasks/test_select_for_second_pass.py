"""A chunk is doubtful where one of its values is improbable."""

import math
from pathlib import Path
from typing import Any

import pyarrow as pa

from preannotation_assets.answer_store.index import AnswerIndex
from preannotation_assets.answer_store.placed_requests import PlacedRequest, write_placed
from preannotation_assets.contracts import ANSWERS, AnswerStatus
from preannotation_assets.lake import StoreLocation, open_store, write_table
from preannotation_assets.tasks.select_for_second_pass import SelectForSecondPass, select_for_second_pass

_ANSWER = '{"spans":[{"port":"Kiel"},{"port":"Hull"}]}'
_LENGTHS = [19, 4, 12, 4, 4]


def _row(key: str, *probabilities: float, status: str = AnswerStatus.ANSWERED) -> dict[str, Any]:
    kiel, hull = (math.log(probability) for probability in probabilities or (1.0, 1.0))
    return {
        **dict.fromkeys(ANSWERS.names),
        "request_key": key,
        "status": status,
        "answer": _ANSWER,
        "token_lengths": _LENGTHS if probabilities else None,
        "token_logprobs": [-20.0, kiel, -20.0, hull, -20.0] if probabilities else None,
        "estimated_prompt_tokens": 1,
        "attempts": 1,
        "answered_at": 7,
        "run_id": "r",
    }


def test_one_improbable_value_is_enough(tmp_path: Path) -> None:
    location = StoreLocation(str(tmp_path))
    store = open_store(location)
    rows = [
        _row("sure", 0.9, 0.9),
        _row("above-the-border", 0.51, 0.9),
        _row("doubtful", 0.9, 0.49),
        _row("unknown"),
        _row("failed", 0.1, 0.1, status=AnswerStatus.FAILED),
    ]
    write_table(store, "answers/r/1.parquet", pa.Table.from_pylist(rows, schema=ANSWERS))
    index = AnswerIndex.read(store, "answers")
    chunks = [["sure"], ["above-the-border"], ["sure", "doubtful"], ["unknown"], ["failed"], ["doubtful"], []]
    placed = [
        PlacedRequest(found, None, "d", 1, row, 1, row, 0, 9, key)
        for row, keys in enumerate(chunks)
        for key in keys
        if (found := index.get(key))
    ]
    write_placed(store, "plan.parquet", placed)
    doubtful = select_for_second_pass(SelectForSecondPass(location, "plan.parquet", 0.5))
    assert doubtful.rows == [2, 5]
    assert doubtful.fetched.bytes > 0
