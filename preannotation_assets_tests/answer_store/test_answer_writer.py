"""The writer of answers: they are kept while the asking goes on, and little is lost by a failure."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from answer_rows import FOLDER, part, row
from shared.polling import wait_for

from preannotation_assets.answer_store.index import AnswerIndex, RequestSpan, read_answers
from preannotation_assets.answer_store.writer import AnswerWriter
from preannotation_assets.contracts import AnswerStatus
from preannotation_assets.errors import ModelError, StorageError
from preannotation_assets.lake import ObjectStore
from preannotation_assets.model_servers.outcomes import Reason


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
