"""What is asked, and by which task."""

from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.answer_store.index import AnswerIndex, IndexedAnswer, RequestSpan
from preannotation_assets.asking.planning import (
    ChunkRow,
    WantedChunk,
    chunk_request,
    split_by_tokens,
    wanted_chunks,
)
from preannotation_assets.contracts import AnswerStatus

FINGERPRINT = "f" * 64


def _chunk(row: int, sha: str) -> ChunkRow:
    return ChunkRow(0, row, 0, 100, sha, 50)


def _index(answers: dict[str, IndexedAnswer]) -> AnswerIndex:
    index = AnswerIndex()
    for request_key, answer in answers.items():
        index.add(request_key, answer)
    return index


def _answer(status: str, *requests: RequestSpan) -> IndexedAnswer:
    return IndexedAnswer(status, 1, "file", 0, requests)


def test_what_was_answered_is_not_asked_and_what_failed_is() -> None:
    chunks = [_chunk(row, f"text {row}") for row in range(3)]
    keys = [chunk_request(chunk, FINGERPRINT).request_key for chunk in chunks]
    index = _index({keys[0]: _answer(AnswerStatus.ANSWERED), keys[1]: _answer(AnswerStatus.FAILED)})
    assert [chunk.row for chunk in wanted_chunks(chunks, FINGERPRINT, index)] == [1, 2]
    assert [chunk.row for chunk in wanted_chunks(chunks, "0" * 64, index)] == [0, 1, 2]


def test_the_same_text_is_asked_once() -> None:
    chunks = [_chunk(row, "blank form") for row in range(5)]
    wanted = list(wanted_chunks(chunks, FINGERPRINT, _index({})))
    assert [(chunk.row, len(chunk.requests)) for chunk in wanted] == [(0, 1)]


def test_of_a_split_chunk_only_the_open_piece_is_asked() -> None:
    chunk = _chunk(0, "long")
    left, right = RequestSpan(0, 60, "left"), RequestSpan(40, 100, "right")
    inner = RequestSpan(0, 30, "inner"), RequestSpan(25, 60, "rest")
    key = chunk_request(chunk, FINGERPRINT).request_key
    index = _index(
        {
            key: _answer(AnswerStatus.SPLIT, left, right),
            "left": _answer(AnswerStatus.ANSWERED),
            "right": _answer(AnswerStatus.SPLIT, *inner),
            "rest": _answer(AnswerStatus.FAILED),
        }
    )
    (wanted,) = wanted_chunks([chunk], FINGERPRINT, index)
    assert wanted.requests == (RequestSpan(40, 70, "inner"), RequestSpan(65, 100, "rest"))
    whole = chunk_request(chunk, FINGERPRINT)
    assert [request.request_key for request, _ in index.leaves(whole)] == ["left", "inner", "rest"]
    assert [request.request_key for request, answer in index.leaves(whole) if answer is None] == ["inner"]


@given(tokens=st.lists(st.integers(1, 6000), max_size=60), tasks=st.integers(1, 9))
def test_shares_hold_every_chunk_once_in_order_and_none_is_empty(tokens: list[int], tasks: int) -> None:
    wanted = [WantedChunk(0, row, count, (RequestSpan(0, 1, str(row)),)) for row, count in enumerate(tokens)]
    shares = [list(share) for share in split_by_tokens(wanted, sum(tokens), tasks)]
    assert [chunk for share in shares for chunk in share] == wanted
    assert len(shares) <= tasks
    assert all(shares)
    if tokens:
        heaviest = max(sum(chunk.estimated_tokens for chunk in share) for share in shares)
        assert heaviest <= sum(tokens) / tasks + max(tokens)
