"""Asks the model about every piece of one task, as fast as permits come."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from preannotation_assets.contracts import AnswerStatus
from preannotation_assets.inference.attempts import Attempt
from preannotation_assets.inference.backlog import Backlog, PieceToAsk
from preannotation_assets.inference.client import ChatClient, Timeouts, judge_exchange
from preannotation_assets.inference.journal_writer import JournalWriter
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
from preannotation_assets.inference.permits import PermitAddress, PermitLine, RunStoppedError, Trouble
from preannotation_assets.inference.protocol import ChatReply, RequestTemplate
from preannotation_assets.inference.splitting import SalvagedPiece, Splitter

__all__ = ["Asker", "Asking", "ask_all"]


@dataclass(frozen=True, slots=True)
class Asking:
    """How a task asks: what is the same for all of its pieces; ``task`` is its number in the run."""

    template: RequestTemplate
    policy: RetryPolicy
    timeouts: Timeouts
    permits: PermitAddress
    askers: int
    overlap_tokens: int
    run_id: str
    task: int = 0


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
        self._splitter = Splitter(asking.template, asking.overlap_tokens)
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
        attempt = Attempt(piece, exchange, outcome, template, self._asking.run_id, self._asking.task)
        await self._settle(attempt, line)

    def _allowed_seconds(self, piece: PieceToAsk) -> float:
        if piece.unavailable:
            return self._asking.timeouts.total
        template = self._asking.template
        prompt_tokens = template.prompt.estimate_tokens(piece.estimated_tokens)
        return self._pace.total_seconds(prompt_tokens, template.options.num_predict)

    async def _settle(self, attempt: Attempt, line: PermitLine) -> None:
        policy, piece = self._asking.policy, attempt.piece
        match attempt.outcome:
            case Answered(reply):
                self._pace.observe(reply)
                self._journal.add(attempt.row(AnswerStatus.ANSWERED, self._clock()))
                await line.report(attempt.report("answered", done_tokens=piece.estimated_tokens))
                await self._backlog.finish()
            case TooLong(reason, reply):
                await self._split_or_fail(attempt, line, reason, reply)
            case Refused(reason):
                await self._fail(attempt, line, reason)
            case Unusable(reason):
                tried = replace(piece, unusable=piece.unusable + 1)
                if tried.unusable <= policy.variations:
                    await line.report(attempt.report("again", reason))
                    self._later(tried, 0.0)
                else:
                    await self._split_or_fail(attempt, line, reason, None)
            case Unavailable(reason, retry_after):
                tried = replace(piece, unavailable=piece.unavailable + 1)
                if tried.unavailable < policy.attempts:
                    await line.report(attempt.report("again", reason))
                    self._later(tried, policy.delay(tried.unavailable, retry_after, self._random))
                else:
                    await self._fail(attempt, line, reason)
            case Stop(error):
                raise error

    async def _split_or_fail(
        self, attempt: Attempt, line: PermitLine, reason: Reason, cut_off: ChatReply | None
    ) -> None:
        """Asks about parts instead, without the part that a reply which was cut off answers already."""
        # In a thread: to find hundreds of quotes takes longer than others may wait.
        kept = await asyncio.to_thread(self._splitter.salvage, attempt.piece, cut_off) if cut_off else None
        parts = kept.rest if kept else self._splitter.halves(attempt.piece)
        if not parts:
            await self._fail(attempt, line, reason)
            return
        self._keep(attempt, reason, kept, parts)
        left = sum(part.estimated_tokens for part in parts)
        done_tokens = max(0, attempt.piece.estimated_tokens - left)
        outcome = "salvaged" if kept else "split"
        await line.report(attempt.report(outcome, reason, done_tokens=done_tokens, parts=len(parts)))
        await self._backlog.replace(parts)

    def _keep(
        self, attempt: Attempt, reason: Reason, kept: SalvagedPiece | None, parts: Sequence[PieceToAsk]
    ) -> None:
        """Adds what was salvaged and what is to be asked to the journal, in one go: it is in one file."""
        now = self._clock()
        if kept:
            self._journal.add(attempt.salvaged_row(now, kept))
        standing = [kept.piece, *parts] if kept else parts
        self._journal.add(attempt.split_row(now, reason, standing))

    async def _fail(self, attempt: Attempt, line: PermitLine, reason: Reason) -> None:
        self._journal.add(attempt.row(AnswerStatus.FAILED, self._clock(), reason))
        done_tokens = attempt.piece.estimated_tokens
        await line.report(attempt.report("failed", reason, done_tokens=done_tokens))
        await self._backlog.finish()

    def _later(self, piece: PieceToAsk, delay: float) -> None:
        """Puts a piece back after a while, without a permit and without an asker waiting for it."""
        task = asyncio.create_task(self._backlog.put_back(piece, delay))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)


def _trouble(outcome: Outcome) -> Trouble | None:
    match outcome:
        case Unavailable(reason, retry_after):
            return Trouble(reason is Reason.OVERLOADED, retry_after)
        case Stop(error):
            return Trouble(stop_message=str(error))
        case _:
            return None
