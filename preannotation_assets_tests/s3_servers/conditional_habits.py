"""How S3 servers treat the conditions of a write: those that keep them, and those that keep half of them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from s3_servers.exchanges import Exchange, Habit, Reply

__all__ = ["HABITS", "ConditionalHabit"]

_CONDITIONS: Final = ("if-match", "if-none-match")
# How long a write waits for another one to come between its comparison and its writing.
_MEETING_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class ConditionalHabit:
    """``make`` gives the habit of one server. ``said`` is what a preflight must say; None where it is fit."""

    name: str
    said: str | None
    make: Callable[[], Habit]


def error(status: int, code: str) -> Reply:
    """An error document of S3."""
    body = f"<Error><Code>{code}</Code><Message>made by the test</Message></Error>".encode()
    return status, code, [("Content-Type", "application/xml")], body


def is_conditional(exchange: Exchange) -> bool:
    return exchange.command == "PUT" and any(exchange.header(name) for name in _CONDITIONS)


def is_allowed(exchange: Exchange) -> bool:
    """Whether the object is as the request's condition wants it."""
    held, wanted = exchange.held(), exchange.header("if-match")
    return held is None if wanted is None else held == wanted.strip('"')


def on_conditional(answer: Callable[[Exchange], Reply]) -> Callable[[], Habit]:
    """A habit that touches conditional writes only."""
    return lambda: lambda exchange: answer(exchange) if is_conditional(exchange) else exchange.pass_on()


def refusing(name: str, status: int, code: str) -> Callable[[], Habit]:
    """No writes with this header."""
    return on_conditional(
        lambda exchange: error(status, code) if exchange.header(name) else exchange.pass_on()
    )


def ignoring(*names: str) -> Callable[[], Habit]:
    """These headers mean nothing."""
    return on_conditional(lambda exchange: exchange.pass_on_without(*names))


def _not_modified(exchange: Exchange) -> Reply:
    reply = exchange.pass_on()
    return (304, "Not Modified", [], b"") if reply[0] == 412 else reply


def _writing_where_deleted(exchange: Exchange) -> Reply:
    is_gone = exchange.header("if-match") is not None and exchange.held() is None
    return exchange.pass_on_without("if-match") if is_gone else exchange.pass_on()


def _missing_is_not_found(exchange: Exchange) -> Reply:
    is_gone = exchange.header("if-match") is not None and exchange.held() is None
    return error(404, "NoSuchKey") if is_gone else exchange.pass_on()


def _bare_etags_only(exchange: Exchange) -> Reply:
    is_quoted = (exchange.header("if-match") or "").startswith('"')
    return error(412, "PreconditionFailed") if is_quoted else exchange.pass_on()


def _dropping_bare_etags(exchange: Exchange) -> Reply:
    wanted = exchange.header("if-match")
    is_bare = wanted is not None and not wanted.startswith('"')
    return exchange.pass_on_without("if-match") if is_bare else exchange.pass_on()


def _refusing_and_writing(exchange: Exchange) -> Reply:
    if is_allowed(exchange):
        return exchange.pass_on()
    exchange.pass_on_without(*_CONDITIONS)
    return error(412, "PreconditionFailed")


def _accepting_without_writing(exchange: Exchange) -> Reply:
    if exchange.header("if-match") is None or not is_allowed(exchange):
        return exchange.pass_on()
    return 200, "OK", [("ETag", '"0123456789abcdef0123456789abcdef"')], b""


def _busy_at_first() -> Habit:
    met: set[str] = set()

    def answer(exchange: Exchange) -> Reply:
        write_id = exchange.header("x-amz-meta-write-id") or ""
        if not is_conditional(exchange) or write_id in met:
            return exchange.pass_on()
        met.add(write_id)
        return error(409, "ConditionalRequestConflict")

    return answer


def _racing(name: str) -> Callable[[], Habit]:
    """Compares, and writes in a second step, between which others compare as well."""

    def make() -> Habit:
        meeting = threading.Barrier(2)

        def answer(exchange: Exchange) -> Reply:
            if not is_conditional(exchange) or exchange.header(name) is None:
                return exchange.pass_on()
            if not is_allowed(exchange):
                return error(412, "PreconditionFailed")
            try:
                meeting.wait(_MEETING_SECONDS)
            except threading.BrokenBarrierError:
                meeting.reset()
            return exchange.pass_on_without(name)

        return answer

    return make


HABITS: Final = (
    ConditionalHabit("both kept", None, on_conditional(Exchange.pass_on)),
    ConditionalHabit("304 for 412", None, on_conditional(_not_modified)),
    ConditionalHabit("404 where deleted", None, on_conditional(_missing_is_not_found)),
    ConditionalHabit("writes where deleted", None, on_conditional(_writing_where_deleted)),
    ConditionalHabit("bare etags only", None, on_conditional(_bare_etags_only)),
    ConditionalHabit("bare etags dropped", None, on_conditional(_dropping_bare_etags)),
    ConditionalHabit("409 at first", None, _busy_at_first),
    ConditionalHabit(
        "501 to If-Match",
        "takes no write with If-Match (NotImplemented)",
        refusing("if-match", 501, "NotImplemented"),
    ),
    ConditionalHabit(
        "400 to If-Match",
        "takes no write with If-Match (InvalidArgument)",
        refusing("if-match", 400, "InvalidArgument"),
    ),
    ConditionalHabit(
        "501 to If-None-Match",
        "takes no write with If-None-Match (NotImplemented)",
        refusing("if-none-match", 501, "NotImplemented"),
    ),
    ConditionalHabit("If-Match ignored", "ignores If-Match", ignoring("if-match")),
    ConditionalHabit("If-None-Match ignored", "ignores If-None-Match", ignoring("if-none-match")),
    ConditionalHabit("both ignored", "ignores If-None-Match", ignoring(*_CONDITIONS)),
    ConditionalHabit(
        "refuses all", "refuses If-None-Match", on_conditional(lambda _: error(412, "PreconditionFailed"))
    ),
    ConditionalHabit("refuses If-Match", "refuses If-Match", refusing("if-match", 412, "PreconditionFailed")),
    ConditionalHabit("refuses and writes", "ignores If-None-Match", on_conditional(_refusing_and_writing)),
    ConditionalHabit("says it wrote", "and did not", on_conditional(_accepting_without_writing)),
    ConditionalHabit("races If-Match", "replace one object, each with If-Match", _racing("if-match")),
    ConditionalHabit(
        "races If-None-Match", "create one object, each with If-None-Match", _racing("if-none-match")
    ),
)
"""Seven that are fit, and twelve that are not, as public reports tell them of servers and gateways."""
