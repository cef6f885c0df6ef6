"""The driver's side of one task: its wishes, the permits that it has, and its reports."""

import asyncio
import hmac
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

from preannotation_assets.contracts import AttemptOutcome
from preannotation_assets.errors import RunStoppedError
from preannotation_assets.throttling.dispatcher import Dispatcher
from preannotation_assets.throttling.permit_line import PermitLine
from preannotation_assets.throttling.permit_listener import Strangers
from preannotation_assets.throttling.permit_messages import (
    LINE_LIMIT,
    LONGEST_HELLO,
    FailureSignal,
    Permit,
    PermitReport,
    message_fields,
)
from preannotation_assets.throttling.silence import is_silent

__all__ = ["Observer", "PermitConnection"]

Observer = Callable[[str, PermitReport], None]
"""Is told the endpoint and the report of a request; it must not block nor raise."""

_HELLO_SECONDS: Final = 10.0


class _NonsenseError(Exception):
    """What came is not of this protocol."""


@dataclass(frozen=True, slots=True)
class _Loan:
    """A permit that is out since ``granted``, of the monotonic clock."""

    endpoint: str
    granted: float
    warm_up: bool = False


class PermitConnection(PermitLine):
    """Hangs up on whoever says nothing of this protocol. What it had when it ends comes back by itself.

    It is among the ``connections`` from its beginning to its end; ``over`` is done then.
    """

    def __init__(
        self,
        secret: str,
        dispatcher: Dispatcher,
        strangers: Strangers,
        connections: "set[PermitConnection]",
        observers: Sequence[Observer],
    ) -> None:
        super().__init__(self._hear_stranger, self._come_to_end, LONGEST_HELLO)
        self._secret = secret.encode()
        self._dispatcher = dispatcher
        self._strangers = strangers
        self._observers = observers
        self._connections = connections
        loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = loop.create_future()
        self._hello_timer = loop.call_later(_HELLO_SECONDS, self.close)
        self._numbers = count()
        # In the order in which they came.
        self._wishes: dict[asyncio.Future[Permit], None] = {}
        self._is_wishing = False
        self._first_wish: asyncio.Future[Permit] | None = None
        self._out: dict[int, _Loan] = {}
        self._is_leaving = False
        # Wishes that had their turn while the task was silent.
        self._put_off = 0
        # Where the task was told that it may pass permits on.
        self._passing: set[str] = set()
        # Of requests that have ended and are not reported yet.
        self._endpoints: dict[int, str] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when the connection stands: it is a stranger's."""
        super().connection_made(transport)
        self._connections.add(self)
        if self.transport:
            self._strangers.take_in(self.transport)

    def _hear_stranger(self, message: dict[str, Any]) -> None:
        offered = str(message.get("secret", "")).encode("utf-8", "replace")
        is_known = hmac.compare_digest(offered, self._secret)
        self.write({"known": is_known})
        if not is_known:
            self.close()
            return
        self._be_no_stranger()
        self.listen(self._hear, LINE_LIMIT)

    def _be_no_stranger(self) -> None:
        self._hello_timer.cancel()
        if self.transport:
            self._strangers.let_go(self.transport)

    def _hear(self, message: dict[str, Any]) -> None:
        try:
            if message.get("want"):
                self._wish()
            elif "ended" in message:
                self._take_back(_number(message), message)
            elif "leaving" in message:
                self._let_leave()
            elif "unused" in message:
                self._take_back_unused(_number(message))
            else:
                self._record(_number(message), _report(message))
        except _NonsenseError:
            self.close()

    def _wish(self) -> None:
        dispatcher = self._dispatcher
        wish: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        wish.add_done_callback(self._answer)
        self._wishes[wish] = None
        if dispatcher.stop_message:
            wish.set_exception(RunStoppedError(dispatcher.stop_message))
        else:
            dispatcher.waiting.append(wish)
            self._note_need()
            dispatcher.hand_out()

    def _answer(self, wish: asyncio.Future[Permit]) -> None:
        """Says what became of a wish, in the order in which they ended."""
        del self._wishes[wish]
        if not wish.cancelled():
            if stopped := wish.exception():
                self.write({"stop": str(stopped)})
            else:
                self._lend(wish.result())
        self._note_need()

    def _lend(self, granted: Permit) -> None:
        permit, now = replace(granted, number=next(self._numbers)), time.monotonic()
        self._dispatcher.lend(now)
        self._out[permit.number] = _Loan(permit.endpoint, now, permit.warm_up)
        self._note_need()
        if self.is_lost or self._is_leaving:
            # Nobody has had it.
            self._take_back_unused(permit.number)
            return
        if self._is_silent():
            # A machine that is cut off would hold it, unused, until it is taken for lost.
            self._put_off += 1
            self._take_back_unused(permit.number)
            return
        self.write(message_fields(permit))
        self._say_whether_to_pass_on(permit.endpoint)

    def wish_again(self) -> None:
        """Puts wishes in line again that were put off, where the task is heard again."""
        if self._put_off and not self._is_silent():
            again, self._put_off = self._put_off, 0
            for _ in range(again):
                self._wish()

    def _is_silent(self) -> bool:
        return self.transport is not None and is_silent(self.transport.get_extra_info("socket"))

    def _note_need(self) -> None:
        """Has the dispatcher know whether this task wishes for permits, and whether it has few."""
        dispatcher, is_wishing = self._dispatcher, bool(self._wishes)
        dispatcher.wishing_tasks += is_wishing - self._is_wishing
        self._is_wishing = is_wishing
        tasks = len(self._connections) - len(self._strangers)
        # A wish that is done is a permit on its way.
        has_few = dispatcher.is_little(len(self._out), tasks) and not any(
            wish.done() for wish in self._wishes
        )
        first = next(iter(self._wishes), None) if has_few else None
        if first is not self._first_wish:
            if self._first_wish:
                dispatcher.first_wishes.pop(self._first_wish, None)
            if first:
                dispatcher.first_wishes[first] = None
            self._first_wish = first

    def _take_back(self, number: int, message: dict[str, Any]) -> None:
        if number not in self._out:
            raise _NonsenseError
        failure_signal, successor = _failure_signal(message), self._successor(message)
        loan = self._out.pop(number)
        endpoint = self._endpoints[number] = loan.endpoint
        if successor is None:
            self._note_need()
            certain = message["ended"] is True
            self._dispatcher.take_back(endpoint, loan.granted, certain=certain, failure_signal=failure_signal)
        else:
            self._out[successor] = _Loan(endpoint, self._dispatcher.let_pass_on(endpoint, loan.granted))
        self._say_whether_to_pass_on(endpoint)

    def _take_back_unused(self, number: int) -> None:
        if number not in self._out:
            raise _NonsenseError
        loan = self._out.pop(number)
        self._note_need()
        self._dispatcher.take_back_unused(loan.endpoint, loan.granted, warm_up=loan.warm_up)
        self._say_whether_to_pass_on(loan.endpoint)

    def _let_leave(self) -> None:
        """Ends the wishes of a task that sends nothing more; what it was given since is unused."""
        self._is_leaving, self._put_off = True, 0
        for wish in list(self._wishes):
            wish.cancel()
        for number in list(self._out):
            self._take_back_unused(number)

    def _successor(self, message: dict[str, Any]) -> int | None:
        """The number that the permit has from now on; None where it comes back."""
        number = message.get("next")
        if number is None:
            return None
        if not isinstance(number, int) or number >= 0 or number in self._out or number in self._endpoints:
            raise _NonsenseError
        if message["ended"] is not True or message.get("failure_signal") is not None:
            raise _NonsenseError
        return number

    def _say_whether_to_pass_on(self, endpoint: str) -> None:
        """Tells the task where it is not as it was told before; one without permits, behind the next."""
        if not self._out:
            return
        may_pass = self._dispatcher.may_pass_on(endpoint, len(self._out))
        if may_pass == (endpoint in self._passing):
            return
        self._passing ^= {endpoint}
        self.write({"endpoint": endpoint, "pass_on": may_pass})

    def _record(self, number: int, report: PermitReport) -> None:
        if number not in self._endpoints:
            raise _NonsenseError
        endpoint = self._endpoints.pop(number)
        self._dispatcher.record(endpoint, report)
        for observe in self._observers:
            observe(endpoint, report)
        self._say_whether_to_pass_on(endpoint)

    def _come_to_end(self) -> None:
        self._be_no_stranger()
        for wish in list(self._wishes):
            wish.cancel()
        while self._out:
            loan = self._out.popitem()[1]
            self._dispatcher.take_back(loan.endpoint, loan.granted, certain=False)
        self._connections.discard(self)
        self.over.set_result(None)


def _number(message: dict[str, Any]) -> int:
    number = message.get("number")
    if not isinstance(number, int):
        raise _NonsenseError
    return number


def _report(message: dict[str, Any]) -> PermitReport:
    try:
        report = message["report"]
        return PermitReport(**{**report, "outcome": AttemptOutcome(report["outcome"])})
    except (KeyError, TypeError, ValueError):
        raise _NonsenseError from None


def _failure_signal(message: dict[str, Any]) -> FailureSignal | None:
    try:
        return FailureSignal(**message["failure_signal"]) if message.get("failure_signal") else None
    except TypeError:
        raise _NonsenseError from None
