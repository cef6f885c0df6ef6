"""Asks about single pages, one request at a time, and keeps nothing."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Final

from preannotation_assets.errors import EndpointError
from preannotation_assets.extraction.chunking import ChunkLimits, chunk_page
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.extraction.pages import PageRow
from preannotation_assets.extraction.spans import Chunk
from preannotation_assets.extraction.suggesting import ChunkAnswer, PageSuggestions, suggest
from preannotation_assets.model_servers.denials import DenialWatch
from preannotation_assets.model_servers.exchange import Exchange
from preannotation_assets.model_servers.http_client import ChatClient
from preannotation_assets.model_servers.outcomes import (
    Answered,
    Denied,
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
from preannotation_assets.throttling.host_semaphore import POLL_SECONDS, HostSemaphore, semaphore_folder
from preannotation_assets.trying.projection import Measure

__all__ = ["AskedChunk", "PageAsker", "SharedSemaphore", "TriedPage", "measures_of"]

_MICROSECONDS: Final = 1_000_000
# Nobody is there, or took all the time that an answer may take.
_HOPELESS: Final = frozenset({Reason.UNREACHABLE, Reason.TIMED_OUT})
_Settled = Answered | TooLong | Unusable | Refused | Denied


@dataclass(frozen=True, slots=True)
class AskedChunk:
    """A chunk and what came back. ``reason`` is None where ``reply`` is a usable answer.

    ``constant_tokens`` is the estimate for the part of the prompt before the page. ``seconds`` is from
    sending to the last byte. ``is_first`` says that the endpoint had not read the constant part before,
    ``warm_up`` is the reply to the request that had it read, None where there was none.
    """

    chunk: Chunk
    endpoint: str
    reply: ChatReply | None
    reason: Reason | None
    seconds: float
    is_first: bool
    constant_tokens: int
    answered_at: float
    warm_up: ChatReply | None = None


@dataclass(frozen=True, slots=True)
class TriedPage:
    """A page, its requests in order, and its suggestions; None where a request failed, as in a run."""

    page: PageRow
    asked: Sequence[AskedChunk]
    suggestions: PageSuggestions | None


@dataclass(frozen=True, slots=True)
class _Served:
    """A request that a server served, and the reply to the warm-up before it."""

    exchange: Exchange
    outcome: _Settled
    warm_up: ChatReply | None


@dataclass(frozen=True, slots=True)
class SharedSemaphore:
    """The folder through which all runs of one machine share the cap; None where there are no runs."""

    folder: Path | None
    max_in_flight: int

    @classmethod
    def of_this_machine(cls, environment: Mapping[str, str], max_in_flight: int) -> "SharedSemaphore":
        """The one of the runs below this DAGSTER_HOME; of none where none has been."""
        configured = environment.get("DAGSTER_HOME", "")
        home = Path(configured).expanduser() if configured else Path(".dagster")
        folder = semaphore_folder(home.absolute() / "storage")
        return cls(folder if folder.is_dir() else None, max_in_flight)

    @asynccontextmanager
    async def one(self, endpoint: str) -> AsyncIterator[None]:
        """Waits for a slot at an endpoint and holds it."""
        if self.folder is None:
            yield
            return
        slots = HostSemaphore(self.folder, endpoint, self.max_in_flight)
        try:
            while not slots.take():
                slots.want(True)
                await asyncio.sleep(POLL_SECONDS)
            yield
            slots.give_back()
        finally:
            slots.close()


class PageAsker:
    """Sees one page after the other through the pipeline's own steps; the endpoints take turns.

    Where it ``warms_up`` an endpoint, that reads the constant part of the prompt before its first page, as in
    a run.
    """

    def __init__(
        self,
        client: ChatClient,
        endpoints: Sequence[str],
        template: RequestTemplate,
        limits: ChunkLimits,
        scheme: LabelScheme,
        slots: SharedSemaphore,
        allowed_seconds: float,
        policy: RetryPolicy,
        *,
        warms_up: bool,
    ) -> None:
        self._client = client
        self._turns: Iterator[str] = cycle(endpoints)
        self._template = template
        self._limits = limits
        self._scheme = scheme
        self._slots = slots
        self._allowed_seconds = allowed_seconds
        self._policy = policy
        self._random = random.Random()  # noqa: S311
        self._warms_up = warms_up
        self._warmed_up: set[str] = set()
        self._known: set[str] = set()
        self._denials = DenialWatch(client, template)

    async def ask(self, page: PageRow) -> TriedPage:
        """Asks about every chunk of a page and grounds the answers.

        Raises:
            InferenceError: no server serves the request.
        """
        asked = [await self._ask(page.text, chunk) for chunk in chunk_page(page.text, self._limits)]
        return TriedPage(page, asked, self._suggest(page.text, asked))

    async def _ask(self, text: str, chunk: Chunk) -> AskedChunk:
        endpoint = next(self._turns)
        served = await self._send(endpoint, text[chunk.start : chunk.end])
        reply, reason = _read(served.outcome)
        is_first = endpoint not in self._known and served.warm_up is None
        self._known.add(endpoint)
        return AskedChunk(
            chunk=chunk,
            endpoint=endpoint,
            reply=reply,
            reason=reason,
            seconds=served.exchange.seconds,
            is_first=is_first,
            constant_tokens=self._template.prompt.constant_tokens,
            answered_at=_ended_at(served.exchange),
            warm_up=served.warm_up,
        )

    async def _send(self, endpoint: str, text: str) -> _Served:
        """Sends a request until it is served, as often as the policy says, and once more after a denial.

        Raises:
            InferenceError: it is not served, or none can be.
        """
        warm_up: ChatReply | None = None
        failures, was_denied = 0, False
        while True:
            async with self._slots.one(endpoint):
                read = await self._warm_up(endpoint)
                warm_up = warm_up or self._reply_to(read)
                # The server may be at work on a warm-up that was lost: a request now could be one too many.
                exchange = read if read and read.lost else await self._ask_for(endpoint, text)
                outcome = self._client.read(exchange, self._template)
                outcome = await self._denials.look_into(exchange, outcome, self._allowed_seconds)
            match outcome:
                case Unavailable(retry_after=retry_after):
                    failures += 1
                    self._require_patience(endpoint, failures, outcome)
                    delay = self._policy.delay(failures, retry_after, self._random)
                case Denied() if not was_denied:
                    was_denied = True
                    delay = self._policy.delay(1, None, self._random)
                case Stop(error):
                    raise error
                case _:
                    return _Served(exchange, outcome, warm_up)
            await asyncio.sleep(delay)

    async def _ask_for(self, endpoint: str, text: str) -> Exchange:
        return await self._client.send(endpoint, self._template, text, 0, self._allowed_seconds)

    def _require_patience(self, endpoint: str, failures: int, outcome: Unavailable) -> None:
        if failures >= self._policy.attempts or not self._is_worth_waiting(outcome):
            times = f"{failures} times: " if failures > 1 else ""
            raise EndpointError(
                f"{endpoint} did not serve the request ({times}{outcome.reason.value})", "try again"
            )

    def _is_worth_waiting(self, outcome: Unavailable) -> bool:
        """Whether somebody who looks at a terminal waits as long as the server asks for."""
        return (
            outcome.reason not in _HOPELESS and (outcome.retry_after or 0.0) <= self._policy.longest_backoff
        )

    async def _warm_up(self, endpoint: str) -> Exchange | None:
        """Has the constant part read, once; what is wrong shows in the page's own request."""
        if not self._warms_up or endpoint in self._warmed_up:
            return None
        self._warmed_up.add(endpoint)
        return await self._client.warm_up(endpoint, self._template, self._allowed_seconds)

    def _reply_to(self, warm_up: Exchange | None) -> ChatReply | None:
        return reply_of(self._client.read(warm_up, self._template)) if warm_up else None

    def _suggest(self, text: str, asked: Sequence[AskedChunk]) -> PageSuggestions | None:
        answers = [_chunk_answer(item, item.reply) for item in asked if item.reply and item.reason is None]
        if len(answers) < len(asked):
            return None
        scheme = self._scheme
        return suggest(
            text,
            answers,
            scheme.label_names,
            overlaps_allowed=scheme.overlaps,
            rules=scheme.value_rules,
        )


def measures_of(asked: Sequence[AskedChunk]) -> list[Measure]:
    """What the answered requests say about the cost of others.

    Only the first request at an endpoint reads the constant part of the prompt, which the server's prefix
    cache keeps; its reading time is cut to the page's share, as in the middle of a batch. Where another run
    has filled the cache before, that is too little.
    """
    return [_measure(item, item.reply) for item in asked if item.reply and item.reason is None]


def _measure(asked: AskedChunk, reply: ChatReply) -> Measure:
    page_tokens = asked.chunk.estimated_tokens
    if reply.answer_seconds is None:
        return Measure(page_tokens, reply.answer_tokens, 0.0, asked.seconds)
    reading = reply.prompt_seconds or 0.0
    if asked.is_first:
        reading *= page_tokens / max(1, page_tokens + asked.constant_tokens)
    return Measure(page_tokens, reply.answer_tokens, reading, reply.answer_seconds)


def _read(outcome: _Settled) -> tuple[ChatReply | None, Reason | None]:
    match outcome:
        case Answered(reply):
            return reply, None
        case TooLong(reason, reply) | Unusable(reason, reply):
            return reply, reason
        case Refused() | Denied():
            return None, Reason.REFUSED


def _ended_at(exchange: Exchange) -> float:
    return exchange.began_at + exchange.seconds


def _chunk_answer(asked: AskedChunk, reply: ChatReply) -> ChunkAnswer:
    return ChunkAnswer(
        start=asked.chunk.start,
        end=asked.chunk.end,
        answer=reply.content,
        token_lengths=reply.token_lengths,
        token_logprobs=reply.token_logprobs,
        answered_at=int(asked.answered_at * _MICROSECONDS),
        logprob_source=reply.logprob_source,
    )
