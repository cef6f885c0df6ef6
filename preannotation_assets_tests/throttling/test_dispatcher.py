"""Who gets a permit, whether it may be passed on, and what other runs are told; without a connection."""

import asyncio
from pathlib import Path

import pytest

from preannotation_assets.contracts import AttemptOutcome
from preannotation_assets.errors import RunStoppedError
from preannotation_assets.throttling.dispatcher import Dispatcher, Limits
from preannotation_assets.throttling.host_semaphore import HostSemaphore
from preannotation_assets.throttling.permit_messages import FailureSignal, Permit, PermitReport

ENDPOINT = "http://gpu:11434"
OTHER = "http://gpu2:11434"
ANSWERED = PermitReport(AttemptOutcome.ANSWERED, available=True, latency_seconds=0.1)
GONE = PermitReport(AttemptOutcome.AGAIN, available=False, reason="connection_lost")


def test_a_free_permit_goes_to_a_task_that_has_few_before_others() -> None:
    async def main() -> None:
        dispatcher = Dispatcher([ENDPOINT], Limits(2))
        before, first = (asyncio.get_running_loop().create_future() for _ in range(2))
        dispatcher.waiting.extend([before, first])
        dispatcher.first_wishes[first] = None
        # One of the two permits is out already.
        assert dispatcher.pool.acquire(0.0) == ENDPOINT
        dispatcher.lend(0.0)
        dispatcher.hand_out()
        assert (before.done(), first.done()) == (False, True)
        assert list(dispatcher.waiting) == [before]
        assert not dispatcher.first_wishes

    asyncio.run(main())


@pytest.mark.parametrize(
    ("out", "tasks", "is_little"), [(0, 9, True), (1, 4, False), (3, 2, False), (1, 2, True), (2, 1, True)]
)
def test_a_task_has_little_with_less_than_half_of_its_share(out: int, tasks: int, is_little: bool) -> None:
    dispatcher = Dispatcher([ENDPOINT], Limits(8))
    for _ in range(8):
        dispatcher.lend(0.0)
    assert dispatcher.is_little(out, tasks) is is_little


def test_another_run_has_what_this_one_would_not_use_now(tmp_path: Path) -> None:
    async def main() -> None:
        ours, theirs = (HostSemaphore(tmp_path, ENDPOINT, 8) for _ in range(2))
        dispatcher = _dispatcher(Limits(8), ours)
        assert all(theirs.take() for _ in range(7))
        wishes = [asyncio.get_running_loop().create_future() for _ in range(20)]
        dispatcher.waiting.extend(wishes)
        dispatcher.hand_out()
        assert theirs.has_more_than_share()
        refused = FailureSignal(overloaded=True)
        dispatcher.lend(0.0)
        dispatcher.take_back(ENDPOINT, 0.0, certain=False, failure_signal=refused)
        for _ in range(2):
            dispatcher.record(ENDPOINT, GONE)
        # It rests, so that the slots are of no use here, though there is somebody who waits for them.
        assert dispatcher.waiting
        assert not theirs.has_more_than_share()
        dispatcher.close()
        theirs.close()

    asyncio.run(main())


def test_another_run_is_not_kept_waiting_by_wishes_that_ended(tmp_path: Path) -> None:
    async def main() -> None:
        for end in (_cancel_all, _stop):
            ours, theirs = (HostSemaphore(tmp_path, ENDPOINT, 2) for _ in range(2))
            dispatcher = Dispatcher([ENDPOINT], Limits(2), {ENDPOINT: ours})
            assert all(theirs.take() for _ in range(2))
            dispatcher.waiting.append(asyncio.get_running_loop().create_future())
            dispatcher.hand_out()
            assert theirs.has_more_than_share()
            end(dispatcher)
            dispatcher.hand_out()
            assert not theirs.has_more_than_share()
            dispatcher.close()
            theirs.close()

    def _cancel_all(dispatcher: Dispatcher) -> None:
        for wish in dispatcher.waiting:
            wish.cancel()

    def _stop(dispatcher: Dispatcher) -> None:
        (wish,) = dispatcher.waiting
        dispatcher.stop("over")
        assert isinstance(wish.exception(), RunStoppedError)

    asyncio.run(main())


def _dispatcher(limits: Limits, semaphore: HostSemaphore | None = None) -> Dispatcher:
    return Dispatcher([ENDPOINT, OTHER], limits, {ENDPOINT: semaphore} if semaphore else None)


async def _lend(dispatcher: Dispatcher, permits: int) -> None:
    for _ in range(permits):
        wish: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        dispatcher.waiting.append(wish)
        dispatcher.hand_out()
        assert wish.done()
        dispatcher.lend(0.0)


def test_nothing_is_passed_on_where_the_limit_was_lowered_or_warm_ups_are_left() -> None:
    async def main() -> None:
        dispatcher = _dispatcher(Limits(16))
        await _lend(dispatcher, 32)
        assert dispatcher.may_pass_on(ENDPOINT, 32)
        refused = FailureSignal(overloaded=True)
        dispatcher.take_back(ENDPOINT, 0.0, certain=True, failure_signal=refused)
        dispatcher.record(ENDPOINT, ANSWERED)
        assert not dispatcher.may_pass_on(ENDPOINT, 31)
        assert dispatcher.may_pass_on(OTHER, 31)
        cold = _dispatcher(Limits(16, warm_ups=2))
        await _lend(cold, 3)
        assert [cold.may_pass_on(endpoint, 3) for endpoint in (ENDPOINT, OTHER)] == [True, False]

    asyncio.run(main())


def test_nothing_is_passed_on_of_what_another_run_should_have(tmp_path: Path) -> None:
    async def main() -> None:
        ours, theirs = (HostSemaphore(tmp_path, ENDPOINT, 8) for _ in range(2))
        dispatcher = _dispatcher(Limits(8, min_in_flight=8), ours)
        await _lend(dispatcher, 16)
        assert dispatcher.may_pass_on(ENDPOINT, 16)
        theirs.want(True)
        assert not dispatcher.may_pass_on(ENDPOINT, 16)
        assert dispatcher.may_pass_on(OTHER, 16)
        theirs.close()
        assert dispatcher.may_pass_on(ENDPOINT, 16)
        dispatcher.close()

    asyncio.run(main())
