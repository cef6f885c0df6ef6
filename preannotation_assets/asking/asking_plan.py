"""What each task is to ask, as files of the lake: a task is told where they are, however much they hold."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import pyarrow as pa

from preannotation_assets.answer_store.index import RequestSpan
from preannotation_assets.asking.planning import WantedChunk, split_by_tokens
from preannotation_assets.contracts import ASKING_PLAN
from preannotation_assets.lake import ObjectStore, read_table_as, write_table
from preannotation_assets.lake.layout import part_key

__all__ = ["AskingShare", "read_asking_share", "write_asking_shares"]

_CHUNKS_A_FILE: Final = 10_000
_Row: TypeAlias = tuple[int, int, RequestSpan]


@dataclass(frozen=True, slots=True)
class AskingShare:
    """Where the plan of one task is: ``files`` files in a folder."""

    folder: str
    files: int


def write_asking_shares(
    store: ObjectStore, folder: str, wanted: Iterable[WantedChunk], tokens: int, tasks: int
) -> list[AskingShare]:
    """Writes the shares of what is wanted, ``tokens`` in all, below a new folder.

    There are at most ``tasks``, of about equal tokens. One file of one share is in memory at a time.

    Raises:
        StorageError: the lake cannot be written.
    """
    return [
        _write_share(store, f"{folder}/{number:05d}", share)
        for number, share in enumerate(split_by_tokens(wanted, tokens, tasks))
    ]


def read_asking_share(
    store: ObjectStore, share: AskingShare
) -> Iterator[tuple[int, dict[int, Sequence[RequestSpan]]]]:
    """The numbers of the parts of a share, in order, and the requests for each row that is asked about.

    Raises:
        StorageError: the lake cannot be read.
    """
    rows = itertools.chain.from_iterable(_rows(store, share))
    for part, found in itertools.groupby(rows, key=lambda row: row[0]):
        by_row: dict[int, Sequence[RequestSpan]] = {
            row: [request for _, _, request in requests]
            for row, requests in itertools.groupby(found, key=lambda row: row[1])
        }
        yield part, by_row


def _write_share(store: ObjectStore, folder: str, share: Iterator[WantedChunk]) -> AskingShare:
    files = 0
    while chunks := list(itertools.islice(share, _CHUNKS_A_FILE)):
        rows = [
            (chunk.part, chunk.row, request.start, request.end, request.request_key, request.unusable_splits)
            for chunk in chunks
            for request in chunk.requests
        ]
        columns = [
            pa.array(values, column.type)
            for values, column in zip(zip(*rows, strict=True), ASKING_PLAN, strict=True)
        ]
        write_table(store, part_key(folder, files), pa.Table.from_arrays(columns, schema=ASKING_PLAN))
        files += 1
    return AskingShare(folder, files)


def _rows(store: ObjectStore, share: AskingShare) -> Iterator[Iterator[_Row]]:
    """The requests of each file, with part and row of their chunk."""
    for number in range(share.files):
        table = read_table_as(store, part_key(share.folder, number), ASKING_PLAN)
        parts, rows, *requests = (column.to_pylist() for column in table.columns)
        yield zip(parts, rows, itertools.starmap(RequestSpan, zip(*requests, strict=True)), strict=True)
