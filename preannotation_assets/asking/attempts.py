"""One attempt at a work item: its rows in the answer store, and what the driver is told of it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from preannotation_assets.asking.splitting import PartlyAnswered
from preannotation_assets.asking.work_queue import WorkItem
from preannotation_assets.contracts import SALVAGED, AnswerStatus, AttemptOutcome
from preannotation_assets.extraction.answers import is_empty_answer
from preannotation_assets.lake import Row
from preannotation_assets.model_servers.exchange import Exchange
from preannotation_assets.model_servers.outcomes import (
    Denied,
    Outcome,
    Reason,
    Unavailable,
    Unusable,
    reply_of,
)
from preannotation_assets.model_servers.reply import ChatReply
from preannotation_assets.model_servers.template import RequestTemplate
from preannotation_assets.throttling.permit_messages import PermitReport

__all__ = ["Attempt"]

_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that has ended; ``task`` numbers the tasks of a run from 0.

    ``warm_up`` is the request before it under the same permit, where there was one, ``warm_up_reply`` what
    came back.
    """

    item: WorkItem
    exchange: Exchange
    outcome: Outcome
    template: RequestTemplate
    run_id: str
    task: int
    warm_up: Exchange | None = None
    warm_up_reply: ChatReply | None = None

    @property
    def reply(self) -> ChatReply | None:
        """What the model said, whether or not it is an answer."""
        return reply_of(self.outcome)

    def report(
        self, outcome: AttemptOutcome, reason: Reason | None = None, *, done_tokens: int = 0, parts: int = 0
    ) -> PermitReport:
        """What the driver is told; of an exchange without a reply it has had a failure signal before.

        ``done_tokens`` are below 0 where parts overlap by more than what need not be asked any more.
        """
        exchange, reply = self.exchange, self.reply
        report = PermitReport(
            outcome,
            available=self._is_available(),
            reason=reason.value if reason else None,
            latency_seconds=exchange.seconds,
            done_tokens=max(0, done_tokens),
            added_tokens=max(0, -done_tokens),
            parts=parts,
            request_key=self.item.request_key,
            task=self.task,
            attempt=self.item.attempts,
            status=exchange.status or None,
            started_at=exchange.began_at,
            estimated_prompt_tokens=self._estimated_prompt_tokens(self.item),
            warm_up_seconds=self.warm_up.seconds if self.warm_up else None,
            warm_up_prompt_tokens=self.warm_up_reply.prompt_tokens if self.warm_up_reply else None,
            warm_up_prompt_seconds=self.warm_up_reply.prompt_seconds if self.warm_up_reply else None,
        )
        if reply is None:
            return report
        return replace(
            report,
            queue_seconds=reply.queue_seconds,
            load_seconds=reply.load_seconds,
            prompt_seconds=reply.prompt_seconds,
            answer_seconds=reply.answer_seconds,
            prompt_tokens=reply.prompt_tokens,
            answer_tokens=reply.answer_tokens,
            cached_tokens=reply.cached_tokens,
            names_nothing=outcome is AttemptOutcome.ANSWERED and is_empty_answer(reply.content),
        )

    def _is_available(self) -> bool | None:
        """Whether the server served it; None where that was told before, or the request did not reach it."""
        match self.outcome:
            case Unavailable():
                return False if self.exchange.is_reply else None
            case Denied():
                return None
            case _:
                return True

    def row(self, status: AnswerStatus, now: float, reason: Reason | None = None) -> Row:
        """A row of contracts.ANSWERS; ``now`` is seconds since the Unix epoch.

        Of a reply nothing is kept that is neither an answer nor the beginning of one that is asked on.
        """
        item = self.item
        lost = status == AnswerStatus.FAILED or isinstance(self.outcome, Unusable)
        reply = None if lost else self.reply
        return {
            "request_key": item.request_key,
            "status": status,
            "reason": reason.value if reason else None,
            "answer": reply.content if reply else None,
            "token_lengths": reply.token_lengths if reply else None,
            "token_logprobs": reply.token_logprobs if reply else None,
            "prompt_tokens": reply.prompt_tokens if reply else None,
            "answer_tokens": reply.answer_tokens if reply else None,
            "estimated_prompt_tokens": self._estimated_prompt_tokens(item),
            "attempts": item.attempts,
            "endpoint": self.exchange.endpoint,
            "latency_seconds": self.exchange.seconds,
            "queue_seconds": reply.queue_seconds if reply else None,
            "answered_at": int(now * _MICROSECONDS),
            "run_id": self.run_id,
            "pieces": None,
            "logprob_source": reply.logprob_source if reply else None,
        }

    def split_row(self, now: float, reason: Reason, parts: Sequence[WorkItem]) -> Row:
        """The row of a text that ``parts`` stand for from now on."""
        # Relative to the text that was asked about: it may stand on several pages.
        begins = self.item.start
        pieces = [
            {"start": part.start - begins, "end": part.end - begins, "request_key": part.request_key}
            for part in parts
        ]
        return {**self.row(AnswerStatus.SPLIT, now, reason), "pieces": pieces}

    def partial_answer_row(self, now: float, kept: PartlyAnswered) -> Row:
        """The row of a part that this attempt answers without having been asked about it alone.

        What the request took is in the row of the whole text: here it would count twice.
        """
        unknown = ("prompt_tokens", "answer_tokens", "latency_seconds", "queue_seconds")
        return {
            **self.row(AnswerStatus.ANSWERED, now),
            **dict.fromkeys(unknown),
            "reason": SALVAGED,
            "request_key": kept.item.request_key,
            "answer": kept.salvaged.answer,
            "token_lengths": kept.salvaged.token_lengths,
            "token_logprobs": kept.salvaged.token_logprobs,
            "estimated_prompt_tokens": self._estimated_prompt_tokens(kept.item),
        }

    def _estimated_prompt_tokens(self, item: WorkItem) -> int:
        return self.template.prompt.estimate_tokens(item.estimated_tokens)
