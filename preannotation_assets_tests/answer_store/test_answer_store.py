"""The answer store: what was answered is found again, the better row wins, little is lost by a failure."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from answer_rows import FOLDER, part, row
from hypothesis import given, settings
from hypothesis import strategies as st

from preannotation_assets.answer_store.index import AnswerIndex, IndexedAnswer, RequestSpan, read_answers
from preannotation_assets.contracts import ANSWERS, AnswerStatus
from preannotation_assets.errors import ObjectNotFoundError
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, write_table


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


def test_a_missing_file_is_said(store: ObjectStore) -> None:
    with pytest.raises(ObjectNotFoundError):
        read_answers(store, {"a": IndexedAnswer(AnswerStatus.ANSWERED, 1, f"{FOLDER}/gone.parquet", 0, ())})


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
