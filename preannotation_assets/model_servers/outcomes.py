"""What became of one attempt, and what to do next. Pure; no network, no clock."""

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

from preannotation_assets.errors import AccessDeniedError, EndpointError, InferenceError, ModelError
from preannotation_assets.extraction.answers import parse_answer
from preannotation_assets.model_servers.ollama.wire import ChatReply

__all__ = [
    "Answered",
    "Outcome",
    "Reason",
    "Refused",
    "RetryPolicy",
    "Stop",
    "TooLong",
    "Unavailable",
    "Unusable",
    "judge_error",
    "judge_reply",
    "parse_retry_after",
]


class Reason(StrEnum):
    """Why a text has no answer; recorded with a chunk that failed or was split, and with a failed page."""

    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    CONNECTION_LOST = "connection_lost"
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    NOT_DONE = "not_done"
    EMPTY_ANSWER = "empty_answer"
    INVALID_ANSWER = "invalid_answer"
    ENDLESS_ANSWER = "endless_answer"
    REFUSED = "refused"
    CONTEXT_EXCEEDED = "context_exceeded"
    ANSWER_TOO_LONG = "answer_too_long"
    # Of pages: no answer to any of its text is there, or a failure that does not say why.
    NOT_ASKED = "not_asked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answered:
    """A complete answer that fits the schema."""

    reply: ChatReply


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

    reason: Reason = Reason.REFUSED


@dataclass(frozen=True, slots=True)
class Stop:
    """No request can succeed before somebody acts."""

    error: InferenceError


Outcome = Answered | Unavailable | Unusable | TooLong | Refused | Stop

_OVERLOADED: Final = frozenset((429, 503))
_LOGIN: Final = frozenset((301, 302, 303, 307, 308))
_DENIED: Final = frozenset((401, 403))
_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
# No request gets past these, whatever it holds.
_FOR_ALL: Final = _DENIED | {_NOT_FOUND, 405}
_SERVER_ERRORS: Final = 500
_REQUEST_TIMEOUT: Final = 408
_LONGEST_RETRY_AFTER: Final = 3600.0
_MOST_DOUBLINGS: Final = 30
# What a 400 says when every request would get it: schema, model, or a setting all requests share.
_WRONG_FOR_ALL: Final = re.compile("schema|grammar|think|keep_alive|invalid model|option", re.IGNORECASE)
# An answer that ends in this many code points of one pattern was not going to end.
_RUN_LENGTH: Final = 600
_LONGEST_PATTERN: Final = 120


def judge_reply(reply: ChatReply | None) -> Outcome:
    """What a 200 means: only ``done`` with ``stop`` and a complete answer is one."""
    if reply is None:
        return Unusable(Reason.INVALID_ANSWER)
    if not reply.done:
        return Unusable(Reason.NOT_DONE, reply)
    if reply.done_reason == "length":
        if _is_endless(reply.content):
            return Unusable(Reason.ENDLESS_ANSWER, reply)
        return TooLong(Reason.ANSWER_TOO_LONG, reply)
    if reply.done_reason != "stop":
        return Unusable(Reason.NOT_DONE, reply)
    parsed = parse_answer(reply.content)
    return Answered(reply) if parsed.fault is None else Unusable(Reason(parsed.fault.value), reply)


def _is_endless(content: str) -> bool:
    """Whether an answer that was cut off ends in a run of one short pattern, or of white space."""
    tail = content[-_RUN_LENGTH:]
    if len(tail) < _RUN_LENGTH:
        return not content.strip(" \t\r\n{")
    return any(tail[step:] == tail[:-step] for step in range(1, _LONGEST_PATTERN + 1))


def judge_error(endpoint: str, model: str, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """What a status other than 200, or a 200 that is not JSON, means.

    ``headers`` has lower-case names. The body is looked at for Ollama's error codes only and is never
    passed on: a proxy's page, or an error that quotes the request, does not belong into a log.
    """
    error = _error_text(body)
    if error is not None and "exceed_context_size" in error:
        return TooLong(Reason.CONTEXT_EXCEEDED)
    if status in _OVERLOADED or status >= _SERVER_ERRORS or status == _REQUEST_TIMEOUT:
        reason = Reason.OVERLOADED if status in _OVERLOADED else Reason.SERVER_ERROR
        return Unavailable(reason, parse_retry_after(headers.get("retry-after")))
    if status >= _BAD_REQUEST and status not in _FOR_ALL and error and not _WRONG_FOR_ALL.search(error):
        return Refused()
    return Stop(_refusal(endpoint, model, status, error))


def _refusal(endpoint: str, model: str, status: int, error: str | None) -> InferenceError:
    if status in _LOGIN or status in _DENIED or (status < _BAD_REQUEST and error is None):
        return _login_error(endpoint, status)
    if status == _NOT_FOUND and error is None:
        return EndpointError(f"{endpoint} has no /api/chat (404)", "is it an Ollama server?")
    if status == _NOT_FOUND:
        return ModelError(f"{endpoint} has no model {model} (404)", f"run: ollama pull {model}")
    return EndpointError(f"{endpoint} refuses the request with status {status}", _refusal_cure(error))


def _login_error(endpoint: str, status: int) -> AccessDeniedError:
    return AccessDeniedError(
        f"{endpoint} answers with status {status} and not with Ollama's JSON, as a login page does",
        "set CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET, or ask for access",
    )


def _refusal_cure(error: str | None) -> str:
    if error is not None and re.search("schema|grammar", error, re.IGNORECASE):
        return "it does not accept the answer schema; look at the label scheme"
    return "look at the server's log"


def _error_text(body: bytes) -> str | None:
    try:
        payload = json.loads(body)
    except ValueError:
        return None
    if not isinstance(payload, dict):
        return None
    error = payload.get("error", "")
    return error if isinstance(error, str) else json.dumps(error)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait, from a Retry-After header in either of its forms (RFC 9110, 10.2.3).

    ``now`` is needed for the date form and defaults to the present. None where there is no such
    header or it makes no sense.
    """
    if value is None:
        return None
    if re.fullmatch(r"\s*\d{1,6}\s*", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a request is repeated; times are seconds.

    ``variations`` is how often an unusable answer is asked for again with another seed.
    """

    attempts: int = 6
    first_backoff: float = 1.0
    longest_backoff: float = 60.0
    variations: int = 1

    def delay(self, failures: int, retry_after: float | None, random_source: random.Random) -> float:
        """Exponential backoff with full jitter, and never before Retry-After.

        The formula is AWS's "full jitter": uniform between 0 and min(cap, base * 2^n).
        """
        ceiling = min(
            self.longest_backoff, self.first_backoff * 2.0 ** min(max(0, failures - 1), _MOST_DOUBLINGS)
        )
        jittered = random_source.uniform(0.0, ceiling)
        return max(jittered, min(retry_after or 0.0, _LONGEST_RETRY_AFTER))
