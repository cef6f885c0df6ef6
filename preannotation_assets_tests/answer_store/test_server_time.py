"""What of a server's time each request had, against a clock that ticks through it."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.answer_store.index import AnswerIndex
from preannotation_assets.answer_store.server_time import read_server_seconds, shared_seconds
from preannotation_assets.contracts import ANSWERS
from preannotation_assets.lake import StoreLocation, open_store, write_table

TICK = 0.25


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 12)), max_size=8))
def test_every_moment_is_shared_alike_by_the_requests_of_that_moment(requests: list[tuple[int, int]]) -> None:
    began = np.array([TICK * start for start, _ in requests])
    ended = np.array([TICK * (start + length) for start, length in requests])
    shares = [0.0] * len(requests)
    for tick in range(40):
        at_work = [place for place, (start, length) in enumerate(requests) if start <= tick < start + length]
        for place in at_work:
            shares[place] += TICK / len(at_work)
    np.testing.assert_allclose(shared_seconds(began, ended), shares, atol=1e-9)


def answer(
    key: str, server: str | None, ended: float, taken: float | None, waited: float | None
) -> dict[str, Any]:
    return {
        "request_key": key, "status": "answered", "estimated_prompt_tokens": 1, "attempts": 1,
        "run_id": "run", "endpoint": server, "answered_at": int(ended * 1e6), "latency_seconds": taken,
        "queue_seconds": waited,
    }  # fmt: skip


def test_answers_of_all_files_share_their_servers_and_unknown_times_stay_unknown(tmp_path: Path) -> None:
    store = open_store(StoreLocation(str(tmp_path)))
    files = [
        [
            answer("alone", "http://a", 10.0, 4.0, None),
            answer("half of it beside another", "http://a", 20.0, 4.0, None),
            answer("without a time", "http://a", 20.0, None, None),
        ],
        [
            answer("another", "http://a", 20.0, 8.0, 6.0),
            answer("another server", "http://b", 20.0, 4.0, 1.0),
            answer("without a server", None, 20.0, 4.0, None),
        ],
    ]
    for number, rows in enumerate(files):
        write_table(store, f"answers/run/{number}.parquet", pa.Table.from_pylist(rows, schema=ANSWERS))
    index = AnswerIndex.read(store, "answers")
    every = {row["request_key"]: index.get(row["request_key"]) for rows in files for row in rows}
    wanted = {key: found for key, found in every.items() if found and key != "another"}
    assert read_server_seconds(store, "answers", wanted) == pytest.approx(
        {"alone": 4.0, "half of it beside another": 2.0 + 1.0, "another server": 3.0}, abs=1e-5
    )
    assert read_server_seconds(store, "nothing", {}) == {}
