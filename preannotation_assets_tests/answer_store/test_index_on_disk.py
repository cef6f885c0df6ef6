"""The index of answers is on disk: what is in memory does not grow with it, and nothing of it is left."""

import gc
import tempfile
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from preannotation_assets.answer_store import index as index_module
from preannotation_assets.answer_store.index import AnswerIndex, IndexedAnswer, RequestSpan
from preannotation_assets.contracts import ANSWERS
from preannotation_assets.errors import StorageError
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, write_table
from preannotation_assets.lake.key_set import KeySet
from preannotation_assets.lake.local_database import LocalDatabase


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def _answer(number: int) -> IndexedAnswer:
    parts = (RequestSpan(0, 6, f"left {number}"), RequestSpan(4, 10, f"right {number}")) if number % 5 else ()
    return IndexedAnswer("split" if parts else "answered", number, f"answers/{number % 7}", number, parts)


def test_what_is_found_is_what_was_added_alone_and_with_others(temporary: Path) -> None:
    with AnswerIndex() as index:
        for number in range(2_500):
            index.add(f"key {number}", _answer(number))
        assert all(index.get(f"key {number}") == _answer(number) for number in range(0, 2_500, 7))
        assert index.get("key 2500") is None
        requests = [RequestSpan(100, 110, f"key {number}") for number in range(2_600)]
        together = list(index.leaves_of_each(iter(requests)))
        assert together == [list(index.leaves(request)) for request in requests]
        assert together[1] == [
            (RequestSpan(100, 106, "left 1"), None),
            (RequestSpan(104, 110, "right 1"), None),
        ]


def test_answers_are_on_disk_and_not_in_pythons_memory(temporary: Path) -> None:
    # SQLite's own memory is a cache of one size, which Python does not see.
    def grown(answers: range) -> int:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for number in answers:
            index.add(f"{number:064}", IndexedAnswer("answered", number, "answers/a.parquet", number, ()))
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    with AnswerIndex() as index:
        grown(range(10))
        tracemalloc.start()
        try:
            assert grown(range(10, 20_010)) < 100_000
        finally:
            tracemalloc.stop()


def test_nothing_is_left_of_an_index_that_was_closed_dropped_or_used_after_a_failure(temporary: Path) -> None:
    index, dropped, keys = AnswerIndex(), AnswerIndex(), KeySet()
    assert len(list(temporary.iterdir())) == 3
    index.close()
    index.close()
    del dropped
    with keys:
        assert [keys.add(key) for key in ("a", "b", "a")] == [True, True, False]
    assert not list(temporary.iterdir())


def test_a_full_disk_is_one_line_that_says_what_to_do(temporary: Path) -> None:
    database = LocalDatabase("PRAGMA max_page_count = 20", "CREATE TABLE keys (key TEXT)")
    with pytest.raises(StorageError, match=r"no room for temporary files \(SQLITE_FULL\).*TMPDIR") as raised:
        database.execute_each("INSERT INTO keys VALUES (?)", [("x" * 4_000,)] * 100)
    assert raised.value.__context__ is None


class _Counting:
    """Counts the files that were read and whose rows were not yet taken."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self.opened = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def open(self, key: str) -> Any:
        with self._lock:
            self.opened += 1
        return self._store.open(key)


def test_few_files_are_read_ahead_and_fewer_of_large_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(StoreLocation(str(tmp_path / "lake")))
    for number in range(60):
        row = {
            **dict.fromkeys(ANSWERS.names),
            "request_key": f"key {number}",
            "status": "answered",
            "estimated_prompt_tokens": 1,
            "attempts": 1,
            "answered_at": 1,
            "run_id": "r",
        }
        write_table(store, f"answers/r/{number:02}.parquet", pa.Table.from_pylist([row], schema=ANSWERS))
    size = max(entry.size for entry in store.list("answers/"))

    def most_ahead(bytes_ahead: int) -> int:
        monkeypatch.setattr(index_module, "_AHEAD_BYTES", bytes_ahead)
        counting, taken, ahead = _Counting(store), 0, []
        listed = enumerate(store.list("answers/"))
        files = (index_module._File(number, entry.key, entry.size) for number, entry in listed)
        for _ in index_module._read_keys(counting, files):  # type: ignore[arg-type]
            taken += 1
            ahead.append(counting.opened - taken)
        assert taken == 60
        return max(ahead)

    assert most_ahead(10**9) <= index_module._READERS
    assert most_ahead(3 * size) <= 3
