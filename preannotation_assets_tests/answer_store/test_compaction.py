"""Small files are put together and no answer is missing at any moment."""

import hashlib
import random
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from preannotation_assets.answer_store.compaction import compact_answers
from preannotation_assets.answer_store.index import AnswerIndex, read_answers
from preannotation_assets.contracts import ANSWERS, AnswerStatus
from preannotation_assets.errors import StorageError
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, read_table, write_table

FOLDER = "argilla/work/d/answers"
KEYS = [f"key-{number}" for number in range(60)]


def _row(key: str, at: int) -> dict[str, Any]:
    return {
        **dict.fromkeys(ANSWERS.names),
        "request_key": key,
        "status": AnswerStatus.ANSWERED if at % 3 else AnswerStatus.FAILED,
        "answer": f"{key} at {at}" if at % 3 else None,
        "token_lengths": [at, 2],
        "estimated_prompt_tokens": 1,
        "attempts": 1,
        "answered_at": at,
        "run_id": "run",
        "pieces": [{"start": 0, "end": 3, "request_key": "part"}] if at % 7 == 0 else None,
    }


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    store = open_store(StoreLocation(str(tmp_path)))
    for number, key in enumerate(KEYS):
        rows = [_row(key, number + 1), _row(KEYS[number // 2], number + 2)]
        name = f"{FOLDER}/run-{number % 3}/{number}.parquet"
        write_table(store, name, pa.Table.from_pylist(rows, schema=ANSWERS))
    return store


def _all_answers(store: ObjectStore) -> list[dict[str, Any]]:
    index = AnswerIndex.read(store, FOLDER)
    known = {key: answer for key in KEYS if (answer := index.get(key))}
    assert known.keys() == set(KEYS)
    rows: list[dict[str, Any]] = read_answers(store, known).to_pylist()
    return sorted(rows, key=lambda row: str(row["request_key"]))


def test_what_is_read_is_the_same_from_one_file_instead_of_sixty(store: ObjectStore) -> None:
    before = _all_answers(store)
    assert compact_answers(store, FOLDER) == 60
    assert len(list(store.list(f"{FOLDER}/"))) == 1
    assert _all_answers(store) == before
    assert compact_answers(store, FOLDER) == 0


def test_large_groups_become_several_files(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _all_answers(store)
    size = next(store.list(f"{FOLDER}/")).size
    monkeypatch.setattr("preannotation_assets.answer_store.compaction._TOGETHER_BYTES", 10 * size)
    compact_answers(store, FOLDER)
    assert 4 <= len(list(store.list(f"{FOLDER}/"))) <= 10
    assert _all_answers(store) == before


class _Dying:
    """A store whose process dies before it deletes."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def delete(self, keys: Iterable[str]) -> None:
        raise StorageError("the process dies here")


def test_dying_half_way_loses_nothing_and_the_next_run_ends_it(store: ObjectStore) -> None:
    before = _all_answers(store)
    with pytest.raises(StorageError):
        compact_answers(_Dying(store), FOLDER)  # type: ignore[arg-type]
    assert _all_answers(store) == before
    compact_answers(store, FOLDER)
    assert len(list(store.list(f"{FOLDER}/"))) == 1
    assert _all_answers(store) == before


def test_whoever_reads_meanwhile_misses_nothing(store: ObjectStore) -> None:
    done, readings, ended = threading.Event(), [], []

    def read() -> None:
        while not done.is_set():
            index = AnswerIndex.read(store, FOLDER)
            readings.append(sum(index.get(key) is not None for key in KEYS))
        ended.append(True)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        compact_answers(store, FOLDER)
    finally:
        done.set()
        reader.join(30)
    assert ended
    assert set(readings) == {len(KEYS)}


def test_the_answers_of_a_part_are_a_share_of_a_compacted_file(tmp_path: Path) -> None:
    store, chance = open_store(StoreLocation(str(tmp_path))), random.Random(1)
    for number in range(40):
        # As the writer names its files: in no order.
        rows = [
            _row(f"{number} {row}", 100 * number + row) | {"reason": chance.randbytes(200).hex()}
            for row in range(100)
        ]
        name = hashlib.sha256(str(number).encode()).hexdigest()
        write_table(store, f"{FOLDER}/run/{name}.parquet", pa.Table.from_pylist(rows, schema=ANSWERS))
    assert compact_answers(store, FOLDER) == 40
    (compacted,) = store.list(f"{FOLDER}/")
    index = AnswerIndex.read(store, FOLDER)
    before = store.fetched
    keys = {f"{number} {row}" for number in (7, 8) for row in range(100)}
    found = read_answers(store, {key: answer for key in keys if (answer := index.get(key))})
    assert set(found["request_key"].to_pylist()) == keys
    assert (store.fetched - before).bytes < compacted.size / 3


def test_files_whose_unknown_columns_do_not_go_together_stay_and_are_read(store: ObjectStore) -> None:
    before = _all_answers(store)
    for number, value in enumerate(("a text", {"a": "struct"})):
        table = pa.Table.from_pylist([_row(KEYS[number], 1)], schema=ANSWERS)
        newer = table.append_column("of_newer_code", pa.array([value]))
        write_table(store, f"{FOLDER}/newer/{number}.parquet", newer)
    assert compact_answers(store, FOLDER) == 0
    assert len(list(store.list(f"{FOLDER}/"))) == 62
    assert _all_answers(store) == before


class _Measuring:
    """A store that measures what is read between two writes."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.read_before_a_write = [0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self, key: str, size: int) -> bytes:
        self.read_before_a_write[-1] += size
        return self._store.read(key, size)

    def upload(self, key: str, path: Path) -> str:
        self.read_before_a_write.append(0)
        return self._store.upload(key, path)


def test_what_is_read_for_one_new_file_is_bounded_and_was_written_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(StoreLocation(str(tmp_path)))
    for number in range(40):
        # As the writer names its files: in no order.
        name = hashlib.sha256(str(number).encode()).hexdigest()
        table = pa.Table.from_pylist([_row(f"key {number}", 2 * number + 1)], schema=ANSWERS)
        write_table(store, f"{FOLDER}/run-{number % 2}/{name}.parquet", table)
    largest = max(entry.size for entry in store.list(f"{FOLDER}/"))
    monkeypatch.setattr("preannotation_assets.answer_store.compaction._TOGETHER_BYTES", 8 * largest)
    measuring = _Measuring(store)
    compact_answers(measuring, FOLDER)  # type: ignore[arg-type]
    assert max(measuring.read_before_a_write) <= 9 * largest
    files = [entry.key for entry in store.list(f"{FOLDER}/compacted/")]
    assert 4 <= len(files) <= 5
    times = sorted(read_table(store, file, ["answered_at"])["answered_at"].to_pylist() for file in files)
    assert [time for file in times for time in file] == sorted(time for file in times for time in file)


def test_rows_of_little_parquet_are_put_together_in_parts_too(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _all_answers(store)
    decoded = read_table(store, next(store.list(f"{FOLDER}/")).key).nbytes
    monkeypatch.setattr("preannotation_assets.answer_store.compaction._DECODED_BYTES", 10 * decoded)
    compact_answers(store, FOLDER)
    assert 4 <= len(list(store.list(f"{FOLDER}/"))) <= 10
    assert _all_answers(store) == before
