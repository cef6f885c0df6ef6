"""What must be asked, and by which task. Pure, on ids and counts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from preannotation_assets.answer_store.index import AnswerIndex, RequestSpan
from preannotation_assets.model_servers.template import request_key

__all__ = ["ChunkRow", "WantedChunk", "chunk_request", "split_by_tokens", "wanted_chunks"]


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


def wanted_chunks(chunks: Iterable[ChunkRow], fingerprint: str, index: AnswerIndex) -> Iterator[WantedChunk]:
    """The chunks that have no answer yet; a text that occurs several times is asked once."""
    asked: set[str] = set()
    for chunk in chunks:
        requests = []
        for request in index.unanswered(chunk_request(chunk, fingerprint)):
            if request.request_key not in asked:
                asked.add(request.request_key)
                requests.append(request)
        if requests:
            share = sum(request.end - request.start for request in requests) / max(1, chunk.end - chunk.start)
            tokens = max(1, round(chunk.estimated_tokens * share))
            yield WantedChunk(chunk.part, chunk.row, tokens, tuple(requests))


def split_by_tokens(wanted: Sequence[WantedChunk], tasks: int) -> list[list[WantedChunk]]:
    """Shares of about equal tokens, at most ``tasks`` of them and none empty.

    A share is a run of neighbours, so that a task reads few parts.
    """
    total = sum(chunk.estimated_tokens for chunk in wanted)
    shares: list[list[WantedChunk]] = []
    before = 0
    for chunk in wanted:
        due = min(tasks, before * tasks // max(1, total) + 1)
        if len(shares) < due:
            shares.append([])
        shares[-1].append(chunk)
        before += chunk.estimated_tokens
    return shares
