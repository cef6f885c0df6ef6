"""Asks the model about every work item of one task, as fast as permits come."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from preannotation_assets.answer_store.writer import AnswerWriter
from preannotation_assets.asking.adaptive_timeout import AdaptiveTimeout
from preannotation_assets.asking.attempts import Attempt
from preannotation_assets.asking.event_loop import LONGEST_WAIT_SECONDS, Quiet
from preannotation_assets.asking.splitting import PartlyAnswered, Splitter
from preannotation_assets.asking.work_queue import WorkItem, WorkQueue
from preannotation_assets.contracts import UNUSABLE_REASONS, AnswerStatus, AttemptOutcome
from preannotation_assets.errors import RunStoppedError
from preannotation_assets.model_servers.denials import DenialWatch
from preannotation_assets.model_servers.endless import repeats_the_page
from preannotation_assets.model_servers.exchange import Exchange
from preannotation_assets.model_servers.http_client import ChatClient, Timeouts
from preannotation_assets.model_servers.outcomes import (
    Answered,
    Denied,
    Outcome,
    Reason,
    Refused,
    Stop,
    TooLong,
    Unavailable,
    Unusable,
    reply_of,
)
from preannotation_assets.model_servers.reply import ChatReply
from preannotation_assets.model_servers.retry_policy import RetryPolicy
from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.throttling.permit_client import PermitClient
from preannotation_assets.throttling.permit_messages import FailureSignal, Permit, PermitAddress, PermitReport

__all__ = ["Asker", "AskingPlan", "ask_all"]


@dataclass(frozen=True, slots=True)
class AskingPlan:
    """How a task asks: what is the same for all of its items; ``task`` is its number in the run."""

    template: RequestTemplate
    policy: RetryPolicy
    timeouts: Timeouts
    permits: PermitAddress
    askers: int
    overlap_tokens: int
    run_id: str
    task: int = 0


async def ask_all(
    asking: AskingPlan,
    client: ChatClient,
    answers: AnswerWriter,
    groups: Iterator[Sequence[WorkItem]],
    quiet: Quiet,
) -> None:
    """Asks about all items; returns when each has a row in the answer store.

    ``quiet`` is of the event loop in which this runs: replies are judged then.

    When one asker cannot go on, the others finish the requests they have in flight, because those are
    paid for, and take no more.

    Raises:
        RunStoppedError: the driver hands out no more permits.
        PreannotationError: no request can succeed before somebody acts, or no answer can be kept.
    """
    asker = Asker(asking, client, answers, WorkQueue(groups, 2 * asking.askers, quiet), quiet)
    errors = await asker.work_together()
    for error in errors:
        if not isinstance(error, RunStoppedError):
            raise error
    if errors:
        raise errors[0]


# Of hundreds at the beginning, each permit would wait for the way to the driver and back of the one before.
# Every task has as many: whoever has waited longest is next, so more would be a larger share of the permits.
_MOST_READY: Final = 8
_ASKERS_TO_A_READY_ONE: Final = 16

_Tell = Callable[[PermitReport], None]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that has ended, with its warm-up; ``outcome`` is None where a reply is to be judged.

    ``tell`` says to the driver what became of it.
    """

    item: WorkItem
    exchange: Exchange
    outcome: Outcome | None
    warm_up: Exchange | None
    tell: _Tell


class Asker:
    """Takes work items from the queue and sees each through to a row in the answer store."""

    def __init__(
        self,
        asking: AskingPlan,
        client: ChatClient,
        answers: AnswerWriter,
        queue: WorkQueue,
        quiet: Quiet,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._asking = asking
        self._client = client
        self._answers = answers
        self._queue = queue
        self._quiet = quiet
        self._clock = clock
        self._random = random.Random()  # noqa: S311
        self._splitter = Splitter(asking.template, asking.overlap_tokens)
        self._denials = DenialWatch(client, asking.template)
        self._timeout = AdaptiveTimeout(asking.timeouts.shortest_total, asking.timeouts.total)
        self._waiting: set[asyncio.Task[None]] = set()
        self._working: set[asyncio.Task[None]] = set()
        self._all_ended = asyncio.Event()
        self._errors: list[BaseException] = []
        self._judging = asyncio.Lock()
        self._begun = 0
        # Askers without a permit that will take the next one.
        self._ready = 0

    async def work_together(self) -> list[BaseException]:
        """Works until all askers have ended; returns what ended some of them early.

        Whoever gets a permit has others begin where none is ready to ask, beside hundreds where fewer than
        eight are. So there are about as many, each with a connection to a server, as the task ever had
        permits, not as the cap.
        """
        async with PermitClient(self._asking.permits) as permits:
            self._begin_where_few_are_ready(permits)
            try:
                await self._all_ended.wait()
            finally:
                working = list(self._working)
                for task in working:
                    task.cancel()
                await asyncio.gather(*working, return_exceptions=True)
        return self._errors

    def _begin_where_few_are_ready(self, permits: PermitClient) -> None:
        enough = min(_MOST_READY, 1 + self._begun // _ASKERS_TO_A_READY_ONE)
        while self._ready < enough and self._begun < self._asking.askers:
            self._begun += 1
            self._ready += 1
            self._start(self._work(permits))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[None]) -> None:
        """Notes why a task ended, and has the others take nothing more where it failed."""
        self._working.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._errors.append(error)
            self._start(self._queue.close())
        if not self._working:
            self._all_ended.set()

    async def _work(self, permits: PermitClient) -> None:
        """One asker: at most one request in flight, and one reply to be judged, until the queue is done."""
        unsettled: asyncio.Task[None] | None = None
        while (item := await self._queue.take()) is not None:
            asked = await self._ask(replace(item, attempts=item.attempts + 1), permits)
            before, unsettled = unsettled, self._start(self._settle_in_turn(asked))
            if before and not before.done():
                self._begin_where_few_are_ready(permits)
                await asyncio.wait({before})
            self._ready += 1

    async def _ask(self, item: WorkItem, permits: PermitClient) -> _Asked:
        """One request; its permit is given back the moment it has ended, before anything else is done."""
        template = self._asking.template
        variation = min(item.unusable, self._asking.policy.variations)
        await self._answers.room()
        permit, allowed = await permits.acquire(), self._allowed_seconds(item)
        self._ready -= 1
        self._begin_where_few_are_ready(permits)
        outcome = None
        with permits.held(permit):
            warm_up = await self._warm_up(permit, allowed)
            if warm_up and warm_up.lost:
                # The server may be at work on it still: another request now could be one above the cap.
                exchange, warm_up = warm_up, None
            else:
                exchange = await self._client.send(permit.endpoint, template, item.text, variation, allowed)
            if exchange.is_reply:
                # Of a reply that was left it is not known when the server notices.
                permits.release(permit, certain=not exchange.given_up)
            else:
                outcome, certain = await self._look_into(exchange, allowed)
                permits.release(permit, certain=certain, failure_signal=_failure_signal(outcome))
        return _Asked(item, exchange, outcome, warm_up, partial(permits.report, permit))

    async def _look_into(self, exchange: Exchange, allowed: float) -> tuple[Outcome, bool]:
        """What is known after a look at a denial; whether the server is sure to be done with all of it."""
        outcome = self._client.read(exchange, self._asking.template)
        looked = await self._denials.look_into(exchange, outcome, allowed)
        is_probe_lost = looked is not outcome and isinstance(looked, Unavailable)
        return looked, exchange.lost is None and not is_probe_lost

    async def _warm_up(self, permit: Permit, allowed: float) -> Exchange | None:
        """Has the constant part of the prompt read where the permit says so; what fails, the page shows."""
        if not permit.warm_up:
            return None
        return await self._client.warm_up(permit.endpoint, self._asking.template, allowed)

    def _allowed_seconds(self, item: WorkItem) -> float:
        if item.unavailable:
            return self._asking.timeouts.total
        template = self._asking.template
        prompt_tokens = template.prompt.estimate_tokens(item.estimated_tokens)
        return self._timeout.total_seconds(prompt_tokens, template.options.answer_tokens)

    async def _settle_in_turn(self, asked: _Asked) -> None:
        """Judges one reply after the other, when no more come: permits and requests do not wait for it."""
        template, outcome = self._asking.template, asked.outcome
        warm_up_reply = None
        latest = asyncio.get_running_loop().time() + LONGEST_WAIT_SECONDS
        async with self._judging:
            await self._quiet(latest)
            if outcome is None:
                outcome = self._client.read(asked.exchange, template)
            if asked.warm_up:
                warm_up_reply = reply_of(self._client.read(asked.warm_up, template))
        attempt = Attempt(
            asked.item,
            asked.exchange,
            outcome,
            template,
            self._asking.run_id,
            self._asking.task,
            asked.warm_up,
            warm_up_reply,
        )
        await self._settle(attempt, asked.tell)

    async def _settle(self, attempt: Attempt, tell: _Tell) -> None:
        policy, item = self._asking.policy, attempt.item
        match attempt.outcome:
            case Answered(reply):
                self._timeout.observe(reply)
                self._answers.add(attempt.row(AnswerStatus.ANSWERED, self._clock()))
                tell(attempt.report(AttemptOutcome.ANSWERED, done_tokens=item.estimated_tokens))
                await self._queue.finish()
            case TooLong(reason, reply):
                await self._split_or_fail(attempt, tell, reason, reply)
            case Refused():
                await self._fail(attempt, tell, Reason.REFUSED)
            case Denied():
                await self._once_more_or_fail(attempt, tell)
            case Unusable(reason, reply):
                tried = replace(item, unusable=item.unusable + 1)
                if tried.unusable <= policy.variations:
                    tell(attempt.report(AttemptOutcome.AGAIN, reason))
                    self._later(tried, 0.0)
                else:
                    reason = Reason.ANSWER_TOO_LONG if _is_only_long(reply, item) else reason
                    await self._split_or_fail(attempt, tell, reason, None)
            case Unavailable(reason, retry_after):
                tried = replace(item, unavailable=item.unavailable + 1)
                if tried.unavailable < policy.attempts:
                    tell(attempt.report(AttemptOutcome.AGAIN, reason))
                    self._later(tried, policy.delay(tried.unavailable, retry_after, self._random))
                else:
                    await self._fail(attempt, tell, reason)
            case Stop(error):
                raise error

    async def _once_more_or_fail(self, attempt: Attempt, tell: _Tell) -> None:
        """Denied once, it may have been a moment of the login's; denied twice, it is the text."""
        if attempt.item.denied:
            await self._fail(attempt, tell, Reason.REFUSED)
            return
        tell(attempt.report(AttemptOutcome.AGAIN, Reason.REFUSED))
        self._later(replace(attempt.item, denied=1), self._asking.policy.delay(1, None, self._random))

    async def _split_or_fail(
        self, attempt: Attempt, tell: _Tell, reason: Reason, cut_off: ChatReply | None
    ) -> None:
        """Asks about parts instead, without the part that a reply which was cut off answers already."""
        # In a thread: to find hundreds of quotes takes longer than others may wait.
        kept = (
            await asyncio.to_thread(self._splitter.find_partial_answer, attempt.item, cut_off)
            if cut_off
            else None
        )
        parts = kept.rest if kept else self._halves(attempt.item, reason)
        if not parts:
            await self._fail(attempt, tell, reason)
            return
        self._keep(attempt, reason, kept, parts)
        done_tokens = attempt.item.estimated_tokens - sum(part.estimated_tokens for part in parts)
        outcome = AttemptOutcome.SALVAGED if kept else AttemptOutcome.SPLIT
        tell(attempt.report(outcome, reason, done_tokens=done_tokens, parts=len(parts)))
        await self._queue.replace(parts)

    def _halves(self, item: WorkItem, reason: Reason) -> list[WorkItem]:
        """By the reason that is kept, because later runs tell by it what was split for want of an answer."""
        if reason in UNUSABLE_REASONS:
            return self._splitter.halves_of_unusable(item)
        return self._splitter.halves(item)

    def _keep(
        self, attempt: Attempt, reason: Reason, kept: PartlyAnswered | None, parts: Sequence[WorkItem]
    ) -> None:
        """Adds the rows of what was salvaged and of what is still to be asked at once: one file has both."""
        now = self._clock()
        if kept:
            self._answers.add(attempt.partial_answer_row(now, kept))
        standing = [kept.item, *parts] if kept else parts
        self._answers.add(attempt.split_row(now, reason, standing))

    async def _fail(self, attempt: Attempt, tell: _Tell, reason: Reason) -> None:
        self._answers.add(attempt.row(AnswerStatus.FAILED, self._clock(), reason))
        done_tokens = attempt.item.estimated_tokens
        tell(attempt.report(AttemptOutcome.FAILED, reason, done_tokens=done_tokens))
        await self._queue.finish()

    def _later(self, item: WorkItem, delay: float) -> None:
        """Puts an item back after a while, without a permit and without an asker waiting for it."""
        task = asyncio.create_task(self._queue.put_back(item, delay))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)


def _is_only_long(reply: ChatReply | None, item: WorkItem) -> bool:
    """Whether an answer that seems to have no end was cut off and repeats what its text does."""
    return reply is not None and reply.done_reason == "length" and repeats_the_page(reply.content, item.text)


def _failure_signal(outcome: Outcome) -> FailureSignal | None:
    match outcome:
        case Unavailable(reason, retry_after):
            return FailureSignal(reason is Reason.OVERLOADED, retry_after)
        case Stop(error):
            return FailureSignal(stop_message=str(error))
        case _:
            return None
