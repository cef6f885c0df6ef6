"""Asks the model about every piece of one task, as fast as permits come."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from preannotation_assets.contracts import AnswerStatus
from preannotation_assets.extraction.chunking import split_chunk
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.extraction.spans import Chunk
from preannotation_assets.inference.backlog import Backlog, PieceToAsk
from preannotation_assets.inference.client import ChatClient
from preannotation_assets.inference.journal import JournalWriter
from preannotation_assets.inference.outcomes import (
    Answered,
    Outcome,
    RetryPolicy,
    Stop,
    TooLong,
    Unavailable,
    Unusable,
)
from preannotation_assets.inference.permits import PermitAddress, PermitLine, PermitReport, RunStoppedError
from preannotation_assets.inference.protocol import ChatReply, RequestTemplate, request_key

__all__ = ["Asker", "Asking", "ask_all"]

_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Asking:
    """How a task asks: what is the same for all of its pieces."""

    template: RequestTemplate
    policy: RetryPolicy
    permits: PermitAddress
    askers: int
    overlap_tokens: int
    run_id: str


async def ask_all(
    asking: Asking,
    client: ChatClient,
    journal: JournalWriter,
    groups: Iterator[Sequence[PieceToAsk]],
) -> None:
    """Asks about all pieces; returns when each has a row in the journal.

    When one asker cannot go on, the others finish the requests they have in flight, because those are
    paid for, and take no more.

    Raises:
        RunStoppedError: the driver hands out no more permits.
        PreannotationError: no request can succeed before somebody acts, or no answer can be kept.
    """
    asker = Asker(asking, client, journal, Backlog(groups))
    ended = await asyncio.gather(*(asker.work() for _ in range(asking.askers)), return_exceptions=True)
    errors = [error for error in ended if error is not None]
    for error in errors:
        if not isinstance(error, RunStoppedError):
            raise error
    if errors:
        raise errors[0]


class Asker:
    """Takes pieces from the backlog and sees each through to a row in the journal."""

    def __init__(
        self,
        asking: Asking,
        client: ChatClient,
        journal: JournalWriter,
        backlog: Backlog,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._asking = asking
        self._client = client
        self._journal = journal
        self._backlog = backlog
        self._clock = clock
        self._random = random.Random()  # noqa: S311
        self._waiting: set[asyncio.Task[None]] = set()

    async def work(self) -> None:
        """One asker: at most one request in flight, until the backlog is done or closed."""
        try:
            async with PermitLine(self._asking.permits) as line:
                while (piece := await self._backlog.take()) is not None:
                    await self._ask(replace(piece, attempts=piece.attempts + 1), line)
        finally:
            await self._backlog.close()

    async def _ask(self, piece: PieceToAsk, line: PermitLine) -> None:
        endpoint = await line.acquire()
        variation = min(piece.unusable, self._asking.policy.variations)
        began = time.monotonic()
        attempt = await self._client.ask(endpoint, self._asking.template, piece.text, variation)
        seconds = time.monotonic() - began
        await self._settle(piece, endpoint, attempt.outcome, seconds, line)

    async def _settle(
        self, piece: PieceToAsk, endpoint: str, outcome: Outcome, seconds: float, line: PermitLine
    ) -> None:
        match outcome:
            case Answered(reply):
                self._journal.add(self._row(piece, AnswerStatus.ANSWERED, endpoint, seconds, reply=reply))
                await line.release(_report("answered", seconds, reply))
                await self._backlog.finish()
            case TooLong(reason, reply):
                await self._split_or_fail(piece, endpoint, reason.value, seconds, reply, line)
            case Unusable(reason):
                tried = replace(piece, unusable=piece.unusable + 1)
                if tried.unusable <= self._asking.policy.variations:
                    await line.release(PermitReport("again", available=True, reason=reason.value))
                    self._later(tried, 0.0)
                else:
                    await self._split_or_fail(tried, endpoint, reason.value, seconds, None, line)
            case Unavailable(reason, retry_after):
                tried = replace(piece, unavailable=piece.unavailable + 1)
                if tried.unavailable < self._asking.policy.attempts:
                    await line.release(PermitReport("again", available=False, reason=reason.value))
                    delay = self._asking.policy.delay(tried.unavailable, retry_after, self._random)
                    self._later(tried, delay)
                else:
                    await self._fail(tried, endpoint, reason.value, seconds, line, available=False)
            case Stop(error):
                await line.release(PermitReport("stop", available=True, message=str(error)))
                raise error

    async def _split_or_fail(
        self,
        piece: PieceToAsk,
        endpoint: str,
        reason: str,
        seconds: float,
        reply: ChatReply | None,
        line: PermitLine,
    ) -> None:
        parts = self._split(piece)
        if not parts:
            await self._fail(piece, endpoint, reason, seconds, line, available=True)
            return
        row = self._row(piece, AnswerStatus.SPLIT, endpoint, seconds, reason=reason, reply=reply)
        row["pieces"] = [
            {"start": part.start, "end": part.end, "request_key": part.request_key} for part in parts
        ]
        self._journal.add(row)
        await line.release(_report("split", seconds, reply))
        await self._backlog.replace(parts)

    async def _fail(
        self,
        piece: PieceToAsk,
        endpoint: str,
        reason: str,
        seconds: float,
        line: PermitLine,
        *,
        available: bool,
    ) -> None:
        self._journal.add(self._row(piece, AnswerStatus.FAILED, endpoint, seconds, reason=reason))
        await line.release(
            PermitReport("failed", available=available, reason=reason, latency_seconds=seconds)
        )
        await self._backlog.finish()

    def _split(self, piece: PieceToAsk) -> list[PieceToAsk]:
        chunk = Chunk(0, len(piece.text), piece.estimated_tokens)
        parts = split_chunk(piece.text, chunk, self._asking.overlap_tokens)
        fingerprint = self._asking.template.fingerprint
        return [
            PieceToAsk(
                request_key=request_key(fingerprint, text_sha256(piece.text[part.start : part.end])),
                start=piece.start + part.start,
                end=piece.start + part.end,
                text=piece.text[part.start : part.end],
                estimated_tokens=part.estimated_tokens,
            )
            for part in parts or ()
        ]

    def _later(self, piece: PieceToAsk, delay: float) -> None:
        """Puts a piece back after a while, without a permit and without an asker waiting for it."""
        task = asyncio.create_task(self._backlog.put_back(piece, delay))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    def _row(
        self,
        piece: PieceToAsk,
        status: str,
        endpoint: str,
        seconds: float,
        *,
        reason: str | None = None,
        reply: ChatReply | None = None,
    ) -> dict[str, object]:
        """A row of contracts.ANSWERS."""
        prompt = self._asking.template.prompt
        return {
            "request_key": piece.request_key,
            "status": status,
            "reason": reason,
            "answer": reply.content if reply else None,
            "token_lengths": reply.token_lengths if reply else None,
            "token_logprobs": reply.token_logprobs if reply else None,
            "prompt_tokens": reply.prompt_tokens if reply else None,
            "answer_tokens": reply.answer_tokens if reply else None,
            "estimated_prompt_tokens": prompt.estimate_tokens(piece.estimated_tokens),
            "attempts": piece.attempts,
            "endpoint": endpoint,
            "latency_seconds": seconds,
            "queue_seconds": reply.queue_seconds if reply else None,
            "answered_at": int(self._clock() * _MICROSECONDS),
            "run_id": self._asking.run_id,
            "pieces": None,
        }


def _report(outcome: str, seconds: float, reply: ChatReply | None) -> PermitReport:
    return PermitReport(
        outcome,
        available=True,
        latency_seconds=seconds,
        prompt_tokens=reply.prompt_tokens if reply else None,
        answer_tokens=reply.answer_tokens if reply else None,
    )
