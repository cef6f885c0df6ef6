"""Asks the model about a share of the chunks; every answer goes to the journal as it arrives."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from preannotation_assets.inference.asking import Asking, ask_all
from preannotation_assets.inference.backlog import PieceToAsk
from preannotation_assets.inference.client import ChatClient, Timeouts, access_headers
from preannotation_assets.inference.journal import JournalWriter, Piece
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, read_table

__all__ = ["AskModel", "ChunksToAsk", "ask_model"]


@dataclass(frozen=True, slots=True)
class ChunksToAsk:
    """The rows of one part of the chunks, and for each the pieces of it that are to be asked."""

    chunks_key: str
    pieces: Mapping[int, Sequence[Piece]]


@dataclass(frozen=True, slots=True)
class AskModel:
    """The share of one task."""

    location: StoreLocation
    journal: str
    parts: Sequence[ChunksToAsk]
    asking: Asking
    timeouts: Timeouts
    stream: str
    flush_seconds: float


def ask_model(task: AskModel) -> None:
    """Asks everything of a share; returns when every piece has a row in the journal.

    The headers for Cloudflare Access come from this process's own environment, so that no secret
    passes through Spark.

    Raises:
        RunStoppedError: the driver hands out no more permits.
        InferenceError: no request can succeed before somebody acts.
        StorageError: the chunks cannot be read, or answers cannot be kept.
    """
    asyncio.run(_ask(task))


async def _ask(task: AskModel) -> None:
    store = open_store(task.location)
    headers = access_headers(os.environ)
    async with (
        JournalWriter(store, task.journal, task.flush_seconds) as journal,
        ChatClient(task.timeouts, headers, task.stream, task.asking.askers) as client,
    ):
        await ask_all(task.asking, client, journal, _groups(store, task.parts))


def _groups(store: ObjectStore, parts: Sequence[ChunksToAsk]) -> Iterator[list[PieceToAsk]]:
    """The pieces of one part at a time, the longest first: what is left at the end is short."""
    for part in parts:
        chunks = read_table(store, part.chunks_key, ("start", "text", "estimated_tokens"))
        pieces = [
            _piece_to_ask(piece, chunks["start"][row].as_py(), chunks["text"][row].as_py(), tokens)
            for row, wanted in part.pieces.items()
            for tokens in [chunks["estimated_tokens"][row].as_py()]
            for piece in wanted
        ]
        yield sorted(pieces, key=lambda piece: -piece.estimated_tokens)


def _piece_to_ask(piece: Piece, chunk_start: int, chunk_text: str, chunk_tokens: int) -> PieceToAsk:
    text = chunk_text[piece.start - chunk_start : piece.end - chunk_start]
    share = len(text) / max(1, len(chunk_text))
    return PieceToAsk(piece.request_key, piece.start, piece.end, text, max(1, round(chunk_tokens * share)))
