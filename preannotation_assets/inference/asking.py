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
from preannotation_assets.inference.client import ChatClient, Exchange, Timeouts, judge_exchange
from preannotation_assets.inference.journal_writer import JournalWriter, Row
from preannotation_assets.inference.outcomes import (
    Answered,
    Outcome,
    Reason,
    Refused,
    RetryPolicy,
    Stop,
    TooLong,
    Unavailable,
    Unusable,
)
from preannotation_assets.inference.pace import Pace
from preannotation_assets.inference.permits import (
    PermitAddress,
    PermitLine,
    PermitReport,
    RunStoppedError,
    Trouble,
)
from preannotation_assets.inference.protocol import ChatReply, RequestTemplate, request_key

__all__ = ["Asker", "Asking", "ask_all"]

_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Asking:
    """How a task asks: what is the same for all of its pieces."""

    template: RequestTemplate
    policy: RetryPolicy
    timeouts: Timeouts
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
    asker = Asker(asking, client, journal, Backlog(groups, low=2 * asking.askers))
    ended = await asyncio.gather(*(asker.work() for _ in range(asking.askers)), return_exceptions=True)
    errors = [error for error in ended if error is not None]
    for error in errors:
        if not isinstance(error, RunStoppedError):
            raise error
    if errors:
        raise errors[0]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A piece and the exchange about it, on the line whose permit it had."""

    piece: PieceToAsk
    exchange: Exchange
    line: PermitLine

    def served(self, outcome: str, reason: Reason | None = None) -> PermitReport:
        """What an endpoint that did its part is reported with."""
        return PermitReport(
            outcome,
            available=True,
            reason=reason.value if reason else None,
            latency_seconds=self.exchange.seconds,
        )

    def not_served(self, outcome: str, reason: Reason) -> PermitReport:
        """The other report; an exchange that brought no reply was told of as a trouble before."""
        return PermitReport(outcome, False if self.exchange.is_reply else None, reason.value)


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
        self._pace = Pace(asking.timeouts.shortest_total, asking.timeouts.total)
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
        template = self._asking.template
        variation = min(piece.unusable, self._asking.policy.variations)
        await self._journal.room()
        endpoint = await line.acquire()
        sending = self._client.send(endpoint, template, piece.text, variation, self._allowed_seconds(piece))
        exchange = await line.while_held(asyncio.create_task(sending))
        if exchange.is_reply:
            await line.release()
            outcome = judge_exchange(exchange, template.model)
        else:
            outcome = judge_exchange(exchange, template.model)
            await line.release(certain=exchange.lost is None, trouble=_trouble(outcome))
        await self._settle(_Asked(piece, exchange, line), outcome)

    def _allowed_seconds(self, piece: PieceToAsk) -> float:
        if piece.unavailable:
            return self._asking.timeouts.total
        template = self._asking.template
        prompt_tokens = template.prompt.estimate_tokens(piece.estimated_tokens)
        return self._pace.total_seconds(prompt_tokens, template.options.num_predict)

    async def _settle(self, asked: _Asked, outcome: Outcome) -> None:
        policy = self._asking.policy
        match outcome:
            case Answered(reply):
                self._pace.observe(reply)
                self._journal.add(self._row(asked, AnswerStatus.ANSWERED, reply=reply))
                await asked.line.report(_with_tokens(asked, "answered", reply))
                await self._backlog.finish()
            case TooLong(reason, reply):
                await self._split_or_fail(asked, reason, reply)
            case Refused(reason):
                await self._fail(asked, reason, available=True)
            case Unusable(reason):
                tried = replace(asked.piece, unusable=asked.piece.unusable + 1)
                if tried.unusable <= policy.variations:
                    await asked.line.report(asked.served("again", reason))
                    self._later(tried, 0.0)
                else:
                    await self._split_or_fail(asked, reason, None)
            case Unavailable(reason, retry_after):
                tried = replace(asked.piece, unavailable=asked.piece.unavailable + 1)
                if tried.unavailable < policy.attempts:
                    await asked.line.report(asked.not_served("again", reason))
                    self._later(tried, policy.delay(tried.unavailable, retry_after, self._random))
                else:
                    await self._fail(asked, reason, available=False)
            case Stop(error):
                raise error

    async def _split_or_fail(self, asked: _Asked, reason: Reason, reply: ChatReply | None) -> None:
        parts = self._split(asked.piece)
        if not parts:
            await self._fail(asked, reason, available=True)
            return
        row = self._row(asked, AnswerStatus.SPLIT, reason=reason, reply=reply)
        # Relative to the text that was asked about: it may stand on several pages.
        begins = asked.piece.start
        row["pieces"] = [
            {"start": part.start - begins, "end": part.end - begins, "request_key": part.request_key}
            for part in parts
        ]
        self._journal.add(row)
        await asked.line.report(_with_tokens(asked, "split", reply))
        await self._backlog.replace(parts)

    async def _fail(self, asked: _Asked, reason: Reason, *, available: bool) -> None:
        self._journal.add(self._row(asked, AnswerStatus.FAILED, reason=reason))
        report = asked.served("failed", reason) if available else asked.not_served("failed", reason)
        await asked.line.report(report)
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
        self, asked: _Asked, status: str, *, reason: Reason | None = None, reply: ChatReply | None = None
    ) -> Row:
        """A row of contracts.ANSWERS."""
        piece, prompt = asked.piece, self._asking.template.prompt
        return {
            "request_key": piece.request_key,
            "status": status,
            "reason": reason.value if reason else None,
            "answer": reply.content if reply else None,
            "token_lengths": reply.token_lengths if reply else None,
            "token_logprobs": reply.token_logprobs if reply else None,
            "prompt_tokens": reply.prompt_tokens if reply else None,
            "answer_tokens": reply.answer_tokens if reply else None,
            "estimated_prompt_tokens": prompt.estimate_tokens(piece.estimated_tokens),
            "attempts": piece.attempts,
            "endpoint": asked.exchange.endpoint,
            "latency_seconds": asked.exchange.seconds,
            "queue_seconds": reply.queue_seconds if reply else None,
            "answered_at": int(self._clock() * _MICROSECONDS),
            "run_id": self._asking.run_id,
            "pieces": None,
        }


def _with_tokens(asked: _Asked, outcome: str, reply: ChatReply | None) -> PermitReport:
    report = asked.served(outcome)
    if reply is None:
        return report
    return replace(
        report,
        queue_seconds=reply.queue_seconds,
        prompt_tokens=reply.prompt_tokens,
        answer_tokens=reply.answer_tokens,
    )


def _trouble(outcome: Outcome) -> Trouble | None:
    match outcome:
        case Unavailable(reason, retry_after):
            return Trouble(reason is Reason.OVERLOADED, retry_after)
        case Stop(error):
            return Trouble(stop_message=str(error))
        case _:
            return None
