"""The answer store: what was answered is found again, the better row wins, little is lost by a failure."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared.polling import wait_for

from preannotation_assets.answer_store.index import AnswerIndex, IndexedAnswer, RequestSpan, read_answers
from preannotation_assets.answer_store.writer import AnswerWriter
from preannotation_assets.contracts import ANSWERS, AnswerStatus
from preannotation_assets.errors import ModelError, ObjectNotFoundError, StorageError
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, write_table
from preannotation_assets.model_servers.outcomes import Reason

FOLDER = "argilla/work/d/answers"


def row(key: str, status: str = AnswerStatus.ANSWERED, at: int = 1, **more: Any) -> dict[str, Any]:
    empty = dict.fromkeys(ANSWERS.names)
    return {
        **empty,
        "request_key": key,
        "status": status,
        "answer": f"answer of {at}" if status == AnswerStatus.ANSWERED else None,
        "estimated_prompt_tokens": 10,
        "attempts": 1,
        "endpoint": "http://gpu",
        "answered_at": at,
        "run_id": "run",
        **more,
    }


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(StoreLocation(str(tmp_path)))


def _write(store: ObjectStore, name: str, *rows: dict[str, Any]) -> None:
    write_table(store, f"{FOLDER}/{name}.parquet", pa.Table.from_pylist(list(rows), schema=ANSWERS))


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([AnswerStatus.ANSWERED, AnswerStatus.FAILED]),
        st.integers(1, 9),
        st.integers(0, 3),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(before=ROWS, later=ROWS, since=st.integers(0, 9))
def test_an_index_and_what_one_folder_got_since_are_what_reading_all_again_gives(
    tmp_path_factory: pytest.TempPathFactory, before: list[Any], later: list[Any], since: int
) -> None:
    store = open_store(StoreLocation(str(tmp_path_factory.mktemp("lake"))))
    for number, (key, status, at, _) in enumerate(before):
        _write(store, f"earlier/{number}", row(key, status, at))
    index = AnswerIndex.read(store, FOLDER, since=since)
    for number, (key, status, at, _) in enumerate(later):
        _write(store, f"this-run/{number}", row(key, status, at))
    index.add_folder(store, f"{FOLDER}/this-run", since=since)
    again = AnswerIndex.read(store, FOLDER, since=since)
    for key in "abc":
        found, expected = index.get(key), again.get(key)
        assert (found and (found.status, found.answered_at)) == (
            expected and (expected.status, expected.answered_at)
        )


@settings(max_examples=40)
@given(rows=ROWS, since=st.integers(0, 9))
def test_the_best_row_of_a_request_wins_wherever_it_lies(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, int, int]], since: int
) -> None:
    store = open_store(StoreLocation(str(tmp_path_factory.mktemp("lake"))))
    for file in range(4):
        _write(
            store, f"run/{file}", *(row(key, status, at) for key, status, at, where in rows if where == file)
        )
    index = AnswerIndex.read(store, FOLDER, since=since)
    for key in "abc":
        ranked = [
            (status == AnswerStatus.ANSWERED, at) for k, status, at, _ in rows if k == key and at >= since
        ]
        found = index.get(key)
        assert (found is None) == (not ranked)
        if found:
            assert (found.status == AnswerStatus.ANSWERED, found.answered_at) == max(ranked)
            (read,) = read_answers(store, {key: found}).to_pylist()
            assert (read["request_key"], read["status"]) == (key, found.status)


def test_answers_are_read_back_as_they_were_given(store: ObjectStore) -> None:
    said = '{"spans": [{"port": "Ham-\\nburg"}]} é \N{CJK UNIFIED IDEOGRAPH-8239}'
    _write(store, "run/1", row("a", answer=said, token_lengths=[3, 4], token_logprobs=[-0.5, -1.25]))
    index = AnswerIndex.read(store, FOLDER)
    answer = index.get("a")
    assert answer is not None
    (read,) = read_answers(store, {"a": answer}).to_pylist()
    assert (read["answer"], read["token_lengths"], read["token_logprobs"]) == (said, [3, 4], [-0.5, -1.25])


def part(start: int, end: int, key: str) -> dict[str, Any]:
    return {"start": start, "end": end, "request_key": key}


@pytest.mark.parametrize(
    "rows",
    [
        {"whole": [part(0, 100, "whole")]},
        {"whole": [part(0, 60, "l"), part(50, 100, "r")], "r": [part(0, 50, "r")]},
        {"whole": [part(0, 100, "other")], "other": [part(0, 100, "whole")]},
        {"whole": [part(40, 140, "l")]},
        {"whole": [part(-5, 20, "l")]},
        {"whole": [part(20, 20, "l")]},
        {"whole": []},
        {"whole": None},
    ],
    ids=["itself", "a part itself", "in turn", "behind the end", "before", "empty", "no part", "null"],
)
def test_a_request_whose_parts_are_none_of_its_text_was_not_asked(
    store: ObjectStore, rows: dict[str, list[dict[str, Any]] | None]
) -> None:
    _write(store, "run/1", *(row(key, AnswerStatus.SPLIT, pieces=parts) for key, parts in rows.items()))
    _write(store, "run/2", row("l"))
    whole = RequestSpan(7, 107, "whole")
    wrong = RequestSpan(57, 107, "r") if "r" in rows else whole
    assert AnswerIndex.read(store, FOLDER).unanswered(whole) == [wrong]
    # It is asked again, and the answer is the better row.
    _write(store, "run/3", row(wrong.request_key, at=2))
    assert AnswerIndex.read(store, FOLDER).unanswered(whole) == []


def test_a_text_may_be_split_as_often_as_it_has_characters(store: ObjectStore) -> None:
    length = 3000
    splits = [
        row(str(size), AnswerStatus.SPLIT, pieces=[part(0, size - 1, str(size - 1))])
        for size in range(2, length + 1)
    ]
    _write(store, "run/1", *splits, row("1"))
    index = AnswerIndex.read(store, FOLDER)
    ((leaf, answer),) = index.leaves(RequestSpan(0, length, str(length)))
    assert leaf == RequestSpan(0, 1, "1")
    assert answer is not None


def test_splits_resolve_to_their_parts_and_theirs(store: ObjectStore) -> None:
    halves = [{"start": 0, "end": 60, "request_key": "l"}, {"start": 50, "end": 100, "request_key": "r"}]
    quarters = [{"start": 0, "end": 30, "request_key": "rl"}, {"start": 20, "end": 50, "request_key": "rr"}]
    _write(store, "run/1", row("whole", AnswerStatus.SPLIT, pieces=halves), row("l"))
    _write(store, "run/2", row("r", AnswerStatus.SPLIT, pieces=quarters), row("rl"))
    index = AnswerIndex.read(store, FOLDER)
    # The same text may stand at different places of different pages.
    for begin in (0, 7000):
        leaves = list(index.leaves(RequestSpan(begin, begin + 100, "whole")))
        assert [(leaf.start, leaf.end, leaf.request_key, answer is not None) for leaf, answer in leaves] == [
            (begin, begin + 60, "l", True),
            (begin + 50, begin + 80, "rl", True),
            (begin + 70, begin + 100, "rr", False),
        ]


class _Vanishing:
    """A store in which files are put together with others between listing and reading."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.vanished = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def list(self, prefix: str) -> Iterator[Any]:
        found = list(self._store.list(prefix))
        if not self.vanished:
            self.vanished += 1
            _write(self._store, "compacted/1", row("a"), row("b"))
            self._store.delete(stat.key for stat in found)
        return iter(found)


def test_an_index_read_while_files_are_put_together_misses_nothing(store: ObjectStore) -> None:
    _write(store, "run/1", row("a"))
    _write(store, "run/2", row("b"))
    index = AnswerIndex.read(_Vanishing(store), FOLDER)  # type: ignore[arg-type]
    assert index.get("a")
    assert index.get("b")


def _writer(store: Any, approve: Any, flush_seconds: float = 0.02) -> AnswerWriter:
    return AnswerWriter(store, f"{FOLDER}/run", flush_seconds, approve)


async def _approve(_: str) -> None:
    return


def test_rows_are_durable_while_the_work_goes_on_and_several_share_a_file(store: ObjectStore) -> None:
    async def work() -> None:
        async with _writer(store, _approve) as writer:
            for number in range(5):
                writer.add(row(f"k{number}"))
            await asyncio.to_thread(wait_for, lambda: list(store.list(FOLDER)), "a file of answers")
            assert len(list(store.list(FOLDER))) == 1

    asyncio.run(work())
    assert all(AnswerIndex.read(store, FOLDER).get(f"k{number}") for number in range(5))


def test_what_is_left_is_written_when_the_work_fails(store: ObjectStore) -> None:
    async def work() -> None:
        async with _writer(store, _approve, flush_seconds=60.0) as writer:
            writer.add(row("paid"))
            raise RuntimeError("the task fails")

    with pytest.raises(RuntimeError):
        asyncio.run(work())
    assert AnswerIndex.read(store, FOLDER).get("paid")


class _Unreachable:
    """A store that refuses the first writes."""

    def __init__(self, store: ObjectStore, failures: int) -> None:
        self._store = store
        self.failures = failures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def upload(self, key: str, path: Path) -> str:
        if self.failures > 0:
            self.failures -= 1
            raise StorageError("the store cannot be reached")
        return self._store.upload(key, path)


def test_while_the_store_is_away_nothing_is_asked_and_nothing_lost(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preannotation_assets.answer_store.writer._RETRY_SECONDS", 0.2)
    away = _Unreachable(store, 2)

    async def work() -> None:
        async with _writer(away, _approve) as writer:
            writer.add(row("a"))
            while writer._writable.is_set():
                await asyncio.sleep(0.005)
            await asyncio.wait_for(writer.room(), 10)
            assert AnswerIndex.read(store, FOLDER).get("a")

    asyncio.run(work())
    assert away.failures == 0
    assert len(list(store.list(FOLDER))) == 1


class _Slow:
    """A store that holds up every write until it is let go."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.let_go = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def upload(self, key: str, path: Path) -> str:
        assert self.let_go.wait(30)
        return self._store.upload(key, path)


def test_while_the_store_takes_longer_than_the_interval_nothing_is_asked(store: ObjectStore) -> None:
    slow = _Slow(store)

    async def work() -> None:
        async with _writer(slow, _approve) as writer:
            writer.add(row("a"))
            await asyncio.to_thread(wait_for, lambda: not writer._writable.is_set(), "the asking stops")
            slow.let_go.set()
            await asyncio.wait_for(writer.room(), 10)
            assert AnswerIndex.read(store, FOLDER).get("a")

    asyncio.run(work())


def test_a_store_that_stays_away_ends_the_asking(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preannotation_assets.answer_store.writer._RETRY_SECONDS", 0.001)

    async def work() -> None:
        async with _writer(_Unreachable(store, 10**6), _approve) as writer:
            writer.add(row("a"))
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                await writer.room()
                await asyncio.sleep(0.005)

    with pytest.raises(StorageError):
        asyncio.run(work())


def test_rows_of_a_model_that_has_changed_are_dropped_and_the_asking_ends(store: ObjectStore) -> None:
    asked: list[str] = []

    async def refuse(endpoint: str) -> None:
        asked.append(endpoint)
        raise ModelError("the model changed")

    async def work() -> None:
        async with _writer(store, refuse) as writer:
            writer.add(row("a"))

    with pytest.raises(ModelError):
        asyncio.run(work())
    assert asked == ["http://gpu"]
    assert not list(store.list(FOLDER))


def test_rows_of_others_are_kept_beside_those_of_a_model_that_has_changed(store: ObjectStore) -> None:
    async def refuse_one(endpoint: str) -> None:
        if endpoint == "http://changed":
            raise ModelError("the model changed")

    async def work() -> None:
        async with _writer(store, refuse_one, flush_seconds=60.0) as writer:
            writer.add(row("a", endpoint="http://changed"))
            writer.add(row("b"))

    with pytest.raises(ModelError):
        asyncio.run(work())
    index = AnswerIndex.read(store, FOLDER)
    assert (index.get("a"), index.get("b") is not None) == (None, True)


async def _has_ended(writer: AnswerWriter) -> None:
    """Asks until there is no room any more."""
    while True:
        await writer.room()
        await asyncio.sleep(0.005)


def test_what_others_give_while_a_model_is_found_changed_is_kept(store: ObjectStore) -> None:
    async def work() -> None:
        asked, let_go = asyncio.Event(), asyncio.Event()

        async def refuse_one(endpoint: str) -> None:
            if endpoint == "http://changed":
                asked.set()
                await let_go.wait()
                raise ModelError("the model changed")

        async with _writer(store, refuse_one) as writer:
            writer.add(row("a", endpoint="http://changed"))
            await asked.wait()
            writer.add(row("b"))
            let_go.set()
            with pytest.raises(ModelError):
                await _has_ended(writer)
            # Was in flight when the asking was ended.
            writer.add(row("c"))

    with pytest.raises(ModelError):
        asyncio.run(asyncio.wait_for(work(), 30))
    index = AnswerIndex.read(store, FOLDER)
    assert [index.get(key) is not None for key in "abc"] == [False, True, True]


def test_what_a_changed_model_gave_is_not_kept_when_the_right_one_is_back(store: ObjectStore) -> None:
    refusals = [ModelError("the model changed")]

    async def refuse_once(_: str) -> None:
        if refusals:
            raise refusals.pop()

    async def work() -> None:
        async with _writer(store, refuse_once) as writer:
            writer.add(row("a"))
            with pytest.raises(ModelError):
                await _has_ended(writer)
            writer.add(row("b"))

    with pytest.raises(ModelError):
        asyncio.run(asyncio.wait_for(work(), 30))
    assert not list(store.list(FOLDER))


def test_a_missing_file_is_said(store: ObjectStore) -> None:
    with pytest.raises(ObjectNotFoundError):
        read_answers(store, {"a": IndexedAnswer(AnswerStatus.ANSWERED, 1, f"{FOLDER}/gone.parquet", 0, ())})


@pytest.mark.parametrize(
    "odd",
    [
        {"prompt_tokens": 2**31},
        {"answer_tokens": "many"},
        {"token_lengths": [1, 2**40]},
        {"token_logprobs": [10**400]},
        {"answer": "half of a pair \ud83d"},
        {"queue_seconds": []},
    ],
)
def test_a_row_that_no_column_can_hold_fails_alone(store: ObjectStore, odd: dict[str, Any]) -> None:
    async def work() -> None:
        async with _writer(store, _approve, flush_seconds=60.0) as writer:
            for number in range(3):
                writer.add(row(f"k{number}"))
            writer.add(row("odd", latency_seconds=1.5, **odd))
            writer.add(row("after"))

    asyncio.run(work())
    index = AnswerIndex.read(store, FOLDER)
    assert all(
        (found := index.get(key)) and found.status == "answered" for key in ("k0", "k1", "k2", "after")
    )
    failed = index.get("odd")
    assert failed is not None
    (read,) = read_answers(store, {"odd": failed}).to_pylist()
    assert (read["status"], read["reason"], read["answer"]) == ("failed", Reason.INVALID_ANSWER.value, None)
    assert (read["attempts"], read["endpoint"], read["latency_seconds"]) == (1, "http://gpu", 1.5)


def test_what_cannot_be_kept_is_told_in_counts_and_a_split_stays_one(
    store: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    pieces = [part(0, 60, "l"), part(50, 100, "r")]
    odd = {"answer": "MV SECRET \ud83d"}

    async def work() -> None:
        async with _writer(store, _approve, flush_seconds=60.0) as writer:
            writer.add(row("whole", AnswerStatus.SPLIT, reason="answer_too_long", pieces=pieces, **odd))
            writer.add(row("odd", **odd))
            writer.add(row("lost", latency_seconds="long"))
            writer.add(row("fine"))

    asyncio.run(work())
    index = AnswerIndex.read(store, FOLDER)
    assert [leaf.request_key for leaf, _ in index.leaves(RequestSpan(0, 100, "whole"))] == ["l", "r"]
    whole, failed, lost = (index.get(key) for key in ("whole", "odd", "lost"))
    assert whole
    assert failed
    assert lost is None
    (read,) = read_answers(store, {"whole": whole}).to_pylist()
    assert (read["status"], read["reason"], read["answer"]) == ("split", "answer_too_long", None)
    (record,) = caplog.records
    assert record.getMessage().startswith("3 of 4 rows")
    assert record.getMessage().endswith("2 are kept without it, 1 not at all")
    assert "SECRET" not in caplog.text


def test_where_no_row_can_be_kept_there_is_no_file(store: ObjectStore, tmp_path: Path) -> None:
    async def work() -> None:
        async with _writer(store, _approve, flush_seconds=60.0) as writer:
            writer.add(row("lost", latency_seconds="long"))

    asyncio.run(work())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_answer_that_is_none_after_all_is_unasked_until_a_later_one_comes(store: ObjectStore) -> None:
    _write(store, "run/1", row("a", at=5), row("b", at=5))
    index = AnswerIndex.read(store, FOLDER)
    kept = index.get("b")
    index.forget({"a": 5})
    assert (index.get("a"), index.get("b")) == (None, kept)
    _write(store, "run/2", row("a", at=6))
    again = AnswerIndex.read(store, FOLDER)
    again.forget({"a": 5})
    assert again.get("a") is not None
