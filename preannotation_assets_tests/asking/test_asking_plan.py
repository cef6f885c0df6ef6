"""What a task is to ask is in the lake: it finds what was planned, and is told as much for any number."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.answer_store.index import RequestSpan
from preannotation_assets.asking import asking_plan
from preannotation_assets.asking.asking_plan import read_asking_share, write_asking_shares
from preannotation_assets.asking.planning import WantedChunk
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store

CHUNKS_A_FILE = 3


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking_plan, "_CHUNKS_A_FILE", CHUNKS_A_FILE)


def _chunk(part: int, row: int, requests: int) -> WantedChunk:
    spans = [RequestSpan(10 * at, 10 * at + 12, f"{part} {row} {at}", at % 3) for at in range(requests)]
    return WantedChunk(part, row, 5 * requests, tuple(spans))


def _store(folder: Path) -> ObjectStore:
    return open_store(StoreLocation(str(folder)))


@given(
    parts=st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=7), max_size=5),
    tasks=st.integers(1, 4),
)
def test_every_chunk_is_in_one_share_in_order_with_its_requests(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[int]], tasks: int
) -> None:
    store = _store(tmp_path_factory.mktemp("lake"))
    wanted = [
        _chunk(part, row, requests) for part, rows in enumerate(parts) for row, requests in enumerate(rows)
    ]
    tokens = sum(chunk.estimated_tokens for chunk in wanted)
    shares = write_asking_shares(store, "plans/run/1", iter(wanted), tokens, tasks)
    read = [
        (part, row, tuple(requests))
        for share in shares
        for part, by_row in read_asking_share(store, share)
        for row, requests in by_row.items()
    ]
    assert read == [(chunk.part, chunk.row, chunk.requests) for chunk in wanted]
    assert len(shares) <= tasks


def test_what_a_task_is_told_does_not_grow_with_its_chunks(tmp_path: Path) -> None:
    told = []
    for chunks in (1, 2_000):
        wanted = [_chunk(row // 500, row % 500, 1) for row in range(chunks)]
        (share,) = write_asking_shares(_store(tmp_path), f"plans/run/{chunks}", iter(wanted), 5 * chunks, 1)
        told.append(len(pickle.dumps(share)) - len(share.folder))
    assert told[1] - told[0] <= 4


def test_a_plan_is_written_file_by_file(tmp_path: Path) -> None:
    store, ahead = _store(tmp_path), []

    def wanted() -> Iterator[WantedChunk]:
        for row in range(20):
            written = sum(1 for _ in store.list("plans/"))
            ahead.append(row - CHUNKS_A_FILE * written)
            yield _chunk(0, row, 1)

    write_asking_shares(store, "plans/run/1", wanted(), 100, 1)
    assert max(ahead) <= CHUNKS_A_FILE
