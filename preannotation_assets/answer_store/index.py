"""The answer store: answers in small immutable files, written within seconds of their arrival.

A row is never changed. A request that was asked twice has two rows, and readers take the better one,
so nothing can be lost by a writer that dies and nothing needs a lock. Files lie in a folder for each run
that wrote them, and in ``compacted/`` when small ones were put together.
"""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from preannotation_assets.contracts import ANSWERS, UNUSABLE_REASONS, AnswerStatus
from preannotation_assets.errors import ObjectNotFoundError
from preannotation_assets.lake import ObjectStore, read_rows_as, read_table_as

__all__ = ["AnswerIndex", "IndexedAnswer", "RequestSpan", "read_answers"]

_READERS: Final = 16
_READINGS: Final = 10
_REREAD_SECONDS: Final = 0.2
_INDEX_COLUMNS: Final = ("request_key", "status", "reason", "answered_at", "pieces")


@dataclass(frozen=True, slots=True)
class RequestSpan:
    """A text to ask about, and the request that does; offsets are code points, of the page unless said.

    ``unusable_splits`` is how often it was cut out of a text whose answers were none.
    """

    start: int
    end: int
    request_key: str
    unusable_splits: int = 0


@dataclass(frozen=True, slots=True)
class IndexedAnswer:
    """Where the answer store keeps the best row of a request: in which file, and which row of it, from 0.

    ``parts`` is empty unless the request was split; their offsets count from the start of its text, which
    may stand on several pages. ``is_unusable`` says that it was split, or failed, for want of an answer in
    its replies.
    """

    status: str
    answered_at: int
    file: str
    row: int
    parts: tuple[RequestSpan, ...]
    is_unusable: bool = False

    def is_better_than(self, other: "IndexedAnswer") -> bool:
        """A failure never hides an answer; of two of a kind the later one counts."""
        ranks = (self.status != AnswerStatus.FAILED, other.status != AnswerStatus.FAILED)
        return ranks[0] > ranks[1] or (ranks[0] == ranks[1] and self.answered_at > other.answered_at)


class AnswerIndex:
    """What the answer store holds, by request key; texts and answers stay in the files."""

    def __init__(self, answers: Mapping[str, IndexedAnswer]) -> None:
        self._answers = answers

    @classmethod
    def read(cls, store: ObjectStore, folder: str, *, since: int = 0) -> "AnswerIndex":
        """Reads the keys of every row answered at ``since`` (microseconds) or later.

        Raises:
            StorageError: the answer store cannot be read.
        """
        for reading in range(1, _READINGS):
            # A file that is gone was put together with others, whose file the next listing shows.
            with contextlib.suppress(ObjectNotFoundError):
                return cls(_read_best(store, folder, since))
            time.sleep(_REREAD_SECONDS * reading)
        return cls(_read_best(store, folder, since))

    def with_folder(self, store: ObjectStore, folder: str, *, since: int = 0) -> "AnswerIndex":
        """This index and what a folder holds by now, which is all that is read.

        Raises:
            StorageError: the folder cannot be read.
        """
        best = dict(self._answers)
        for request_key, answer in AnswerIndex.read(store, folder, since=since)._answers.items():
            known = best.get(request_key)
            if known is None or answer.is_better_than(known):
                best[request_key] = answer
        return AnswerIndex(best)

    def without(self, unfit: Mapping[str, int]) -> "AnswerIndex":
        """This index without rows that are no answers after all: by request key, when each came.

        Times are microseconds; a row that came later stays.
        """
        return AnswerIndex(
            {
                request_key: answer
                for request_key, answer in self._answers.items()
                if unfit.get(request_key) != answer.answered_at
            }
        )

    def get(self, request_key: str) -> IndexedAnswer | None:
        """The best row of a request; None where it was never asked."""
        return self._answers.get(request_key)

    def leaves(self, request: RequestSpan) -> Iterator[tuple[RequestSpan, IndexedAnswer | None]]:
        """The requests that stand for a request: itself, or what it was split into, in order.

        Their offsets are in the same text as those of the request. One whose parts are none of its text was
        not asked: what was kept of it is damaged, and a part that is as long as the whole would have no end.
        """
        for whole, answer, parts in self._walk(request):
            if not parts:
                yield whole, None if answer and answer.status == AnswerStatus.SPLIT else answer

    def rows(self, request: RequestSpan) -> Iterator[tuple[str, IndexedAnswer]]:
        """All that was paid for a request: its own row and those of the parts it was split into, by key."""
        for whole, answer, _ in self._walk(request):
            if answer is not None:
                yield whole.request_key, answer

    def _walk(
        self, request: RequestSpan
    ) -> Iterator[tuple[RequestSpan, IndexedAnswer | None, Sequence[RequestSpan]]]:
        """A request, and in its place the parts that it was split into, each with its own; in order."""
        waiting = [request]
        while waiting:
            whole = waiting.pop()
            answer = self.get(whole.request_key)
            parts = [] if answer is None else _sound_parts(whole, answer)
            waiting += reversed(parts)
            yield whole, answer, parts

    def unasked(self, request: RequestSpan) -> list[RequestSpan]:
        """The requests for a request that the store knows nothing of, not even a failure."""
        return [leaf for leaf, answer in self.leaves(request) if answer is None]

    def unanswered(self, request: RequestSpan) -> list[RequestSpan]:
        """The requests that must still be made for a request; failures are made again."""
        return [
            leaf
            for leaf, answer in self.leaves(request)
            if answer is None or answer.status != AnswerStatus.ANSWERED
        ]


def _sound_parts(whole: RequestSpan, answer: IndexedAnswer) -> list[RequestSpan]:
    """The parts that stand for a request; none where it was not split, or one of them is none of its text."""
    is_split = answer.status == AnswerStatus.SPLIT
    if not is_split or not all(_is_part(part, whole.end - whole.start) for part in answer.parts):
        return []
    return [_part_of(whole, part, answer) for part in answer.parts]


def _part_of(whole: RequestSpan, part: RequestSpan, answer: IndexedAnswer) -> RequestSpan:
    return RequestSpan(
        whole.start + part.start,
        whole.start + part.end,
        part.request_key,
        whole.unusable_splits + answer.is_unusable,
    )


def _is_part(part: RequestSpan, length: int) -> bool:
    return 0 <= part.start < part.end <= length and part.end - part.start < length


def read_answers(store: ObjectStore, wanted: Mapping[str, IndexedAnswer]) -> pa.Table:
    """The rows of the answer store for ``wanted``, by request key; exactly those that were indexed.

    Raises:
        StorageError: a file cannot be read, or is gone.
    """
    rows: dict[str, set[int]] = defaultdict(set)
    for answer in wanted.values():
        rows[answer.file].add(answer.row)

    def read(file: str) -> pa.Table:
        return _select(read_rows_as(store, file, ANSWERS, sorted(rows[file])), file, wanted)

    with ThreadPoolExecutor(_READERS) as readers:
        return pa.concat_tables([ANSWERS.empty_table(), *readers.map(read, sorted(rows))])


def _select(table: pa.Table, file: str, wanted: Mapping[str, IndexedAnswer]) -> pa.Table:
    rows: dict[str, int] = {}
    times = table["answered_at"].cast(pa.int64()).to_pylist()
    keys, statuses = table["request_key"].to_pylist(), table["status"].to_pylist()
    for row, (request_key, status, answered_at) in enumerate(zip(keys, statuses, times, strict=True)):
        answer = wanted.get(request_key)
        if answer and (answer.file, answer.status, answer.answered_at) == (file, status, answered_at):
            rows[request_key] = row
    return table.take(pa.array(sorted(rows.values()), pa.int64()))


def _read_best(store: ObjectStore, folder: str, since: int) -> dict[str, IndexedAnswer]:
    best: dict[str, IndexedAnswer] = {}
    for request_key, answer in _read_keys(store, [stat.key for stat in store.list(f"{folder}/")]):
        known = best.get(request_key)
        if answer.answered_at >= since and (known is None or answer.is_better_than(known)):
            best[request_key] = answer
    return best


def _read_keys(store: ObjectStore, files: Sequence[str]) -> Iterator[tuple[str, IndexedAnswer]]:
    with ThreadPoolExecutor(_READERS) as readers:
        tables = readers.map(lambda file: read_table_as(store, file, ANSWERS, _INDEX_COLUMNS), files)
        for file, table in zip(files, tables, strict=True):
            times = table["answered_at"].cast(pa.int64()).to_pylist()
            rows = zip(
                table["request_key"].to_pylist(),
                table["status"].to_pylist(),
                table["reason"].to_pylist(),
                times,
                table["pieces"].to_pylist(),
                strict=True,
            )
            for row, (key, status, reason, time, parts) in enumerate(rows):
                spans = tuple(
                    RequestSpan(part["start"], part["end"], part["request_key"]) for part in parts or ()
                )
                yield key, IndexedAnswer(status, time, file, row, spans, reason in UNUSABLE_REASONS)
