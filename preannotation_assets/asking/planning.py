"""What must be asked, and by which task. Pure, on ids and counts."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from preannotation_assets.answer_store.index import AnswerIndex, Leaf, RequestSpan, unanswered
from preannotation_assets.lake.key_set import KeySet
from preannotation_assets.model_servers.template import request_key

__all__ = [
    "ChunkRow",
    "Survey",
    "WantedChunk",
    "chunk_request",
    "split_by_tokens",
    "survey_chunks",
    "wanted_chunks",
]


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A chunk without its text: the row ``row`` of part ``part``."""

    part: int
    row: int
    start: int
    end: int
    chunk_sha256: str
    estimated_tokens: int


@dataclass(frozen=True, slots=True)
class WantedChunk:
    """A chunk of which ``requests`` are to be asked: the chunk itself, or what it was split into.

    ``estimated_tokens`` are those of the requests together.
    """

    part: int
    row: int
    estimated_tokens: int
    requests: tuple[RequestSpan, ...]


def chunk_request(chunk: ChunkRow, fingerprint: str) -> RequestSpan:
    """The request that stands for a whole chunk."""
    return RequestSpan(chunk.start, chunk.end, request_key(fingerprint, chunk.chunk_sha256))


@dataclass(frozen=True, slots=True)
class Survey:
    """What is open of some chunks: requests to make, and their tokens.

    ``state`` is a hash of which rows of the answer store stand for which chunks, of failures too; None where
    a chunk was never asked.
    """

    requests: int
    tokens: int
    state: str | None


def survey_chunks(chunks: Iterable[ChunkRow], fingerprint: str, index: AnswerIndex) -> Survey:
    """What is open of the chunks, in one walk."""
    requests = tokens = 0
    state, is_complete = hashlib.sha256(), True
    with KeySet() as asked:
        for chunk, leaves in _with_leaves(chunks, fingerprint, index):
            for leaf, answer in leaves:
                is_complete = is_complete and answer is not None
                came = answer and answer.answered_at
                state.update(f"{leaf.start} {leaf.end} {leaf.request_key} {came}\n".encode())
            if wanted := _wanted(chunk, leaves, asked):
                requests += len(wanted.requests)
                tokens += wanted.estimated_tokens
    return Survey(requests, tokens, state.hexdigest() if is_complete else None)


def wanted_chunks(chunks: Iterable[ChunkRow], fingerprint: str, index: AnswerIndex) -> Iterator[WantedChunk]:
    """The chunks that have no answer yet; a text that occurs several times is asked once."""
    with KeySet() as asked:
        for chunk, leaves in _with_leaves(chunks, fingerprint, index):
            if wanted := _wanted(chunk, leaves, asked):
                yield wanted


def _with_leaves(
    chunks: Iterable[ChunkRow], fingerprint: str, index: AnswerIndex
) -> Iterator[tuple[ChunkRow, list[Leaf]]]:
    chunks, asked_about = itertools.tee(chunks)
    leaves = index.leaves_of_each(chunk_request(chunk, fingerprint) for chunk in asked_about)
    return zip(chunks, leaves, strict=True)


def _wanted(chunk: ChunkRow, leaves: Iterable[Leaf], asked: KeySet) -> WantedChunk | None:
    """What is to be asked of a chunk that is not among what was asked before; None where there is nothing."""
    requests = tuple(request for request in unanswered(leaves) if asked.add(request.request_key))
    if not requests:
        return None
    length = sum(request.end - request.start for request in requests)
    tokens = max(1, round(chunk.estimated_tokens * length / max(1, chunk.end - chunk.start)))
    return WantedChunk(chunk.part, chunk.row, tokens, requests)


def split_by_tokens(
    wanted: Iterable[WantedChunk], tokens: int, tasks: int
) -> Iterator[Iterator[WantedChunk]]:
    """Shares of about equal tokens, at most ``tasks`` of them and none empty; ``tokens`` are those of all.

    A share is a run of neighbours, so that a task reads few parts. Each must be taken before the next.
    """
    for _, share in itertools.groupby(_shared(wanted, tokens, tasks), key=lambda chunk: chunk[0]):
        yield (chunk for _, chunk in share)


def _shared(wanted: Iterable[WantedChunk], tokens: int, tasks: int) -> Iterator[tuple[int, WantedChunk]]:
    """Every chunk with the number of its share, from 1."""
    share = before = 0
    for chunk in wanted:
        due = min(tasks, before * tasks // max(1, tokens) + 1)
        share += share < due
        yield share, chunk
        before += chunk.estimated_tokens
