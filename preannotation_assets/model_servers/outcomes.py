"""What became of one attempt, and what to do next. Pure; no network, no clock."""

from dataclasses import dataclass, field
from enum import StrEnum

from preannotation_assets.contracts import INVALID_ANSWER
from preannotation_assets.errors import InferenceError
from preannotation_assets.extraction.answers import AnsweredQuote, parse_answer
from preannotation_assets.model_servers.endless import ends_in_equal_tokens, is_blank, is_repeating
from preannotation_assets.model_servers.reply import ChatReply

__all__ = [
    "Answered",
    "Denied",
    "Outcome",
    "Reason",
    "Refused",
    "Stop",
    "TooLong",
    "Unavailable",
    "Unusable",
    "judge_reply",
    "reply_of",
]


class Reason(StrEnum):
    """Why a text has no answer; recorded with a chunk that failed or was split, and with a failed page.

    Why a page has none besides is a ``PageFailure`` (extraction/page_failures.py).
    """

    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    CONNECTION_LOST = "connection_lost"
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    NOT_DONE = "not_done"
    EMPTY_ANSWER = "empty_answer"
    INVALID_ANSWER = INVALID_ANSWER
    ENDLESS_ANSWER = "endless_answer"
    REFUSED = "refused"
    CONTEXT_EXCEEDED = "context_exceeded"
    ANSWER_TOO_LONG = "answer_too_long"


@dataclass(frozen=True, slots=True)
class Answered:
    """A complete answer; ``judging`` lets it pass only where its quotes fit the labels as well.

    ``quotes`` are there where they have been read already.
    """

    reply: ChatReply
    quotes: tuple[AnsweredQuote, ...] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The endpoint could not serve the request; the same request may be sent again later.

    ``retry_after`` is seconds, where the server named them.
    """

    reason: Reason
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Unusable:
    """The endpoint answered with something that is no answer; the same request would give it again.

    ``reply`` is what it said, where it could be read: it was paid for.
    """

    reason: Reason
    reply: ChatReply | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class TooLong:
    """The prompt or the answer did not fit; only a shorter text can help."""

    reason: Reason
    reply: ChatReply | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The endpoint does not accept this request, whenever it is sent; others may be accepted."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The endpoint, or what stands before it, denies this request and lets others through (``denials``)."""


@dataclass(frozen=True, slots=True)
class Stop:
    """No request can succeed before somebody acts."""

    error: InferenceError


Outcome = Answered | Unavailable | Unusable | TooLong | Refused | Denied | Stop


def reply_of(outcome: Outcome) -> ChatReply | None:
    """What the model said, whether or not it is an answer; None where it said nothing that could be read."""
    match outcome:
        case Answered(reply) | TooLong(reply=reply) | Unusable(reply=reply):
            return reply
        case _:
            return None


def judge_reply(reply: ChatReply | None) -> Outcome:
    """What a 200 means: only ``done`` with ``stop`` and a complete answer is one."""
    if reply is None:
        return Unusable(Reason.INVALID_ANSWER)
    if not reply.done:
        repeats = is_repeating(reply.content) or ends_in_equal_tokens(reply.content)
        return Unusable(Reason.ENDLESS_ANSWER if repeats else Reason.NOT_DONE, reply)
    if reply.done_reason == "length":
        if is_repeating(reply.content) or is_blank(reply.content):
            return Unusable(Reason.ENDLESS_ANSWER, reply)
        return TooLong(Reason.ANSWER_TOO_LONG, reply)
    if reply.done_reason != "stop":
        return Unusable(Reason.NOT_DONE, reply)
    parsed = parse_answer(reply.content)
    fault = parsed.fault
    return Answered(reply, parsed.quotes) if fault is None else Unusable(Reason(fault.value), reply)
