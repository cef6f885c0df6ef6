"""The network to S3 is cut while a task asks: for some seconds, and for good."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from asking_work import CAP, LIMITS, Work
from s3_servers.fault_proxy import FaultProxy
from s3_servers.fixtures import aws_environment, bucket, client, moto_address, proxy, s3_location
from shared.polling import wait_for
from shared.short_pages import texts

from preannotation_assets.answer_store import writer as answer_writer
from preannotation_assets.errors import StorageError
from preannotation_assets.lake import ObjectStore, RequestLimits, StoreLocation, open_store
from preannotation_assets.simulator import HabitRates, RunningSimulator, SimulatorSettings, TimeModel
from preannotation_assets.tasks import ask_model as task_module
from preannotation_assets.tasks.ask_model import ask_model
from preannotation_assets.throttling.permit_server import PermitServer

__all__ = ["aws_environment", "bucket", "client", "moto_address", "proxy", "s3_location"]

_COUNT = 60
_EVERY_PUT = 1_000_000
# Much longer than a request (0.05 s) and than the flush interval (0.1 s).
_STILL_SECONDS = 0.5


@pytest.fixture
def work(tmp_path: Path, s3_location: StoreLocation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    """Work whose chunks and answers are on S3, which is tried once; then the writer tries again."""

    def open_impatiently(location: StoreLocation) -> ObjectStore:
        return open_store(location, RequestLimits(2.0, 5.0, 1))

    monkeypatch.setattr(task_module, "open_store", open_impatiently)
    monkeypatch.setattr(answer_writer, "_RETRY_SECONDS", 0.3)
    pace = TimeModel(load_seconds=0, prefill_rate=1e9, decode_rate=1_000, slowdown_per_slot=0)
    settings = SimulatorSettings(slots=8, habits=HabitRates.NONE, speed=1.0, time=pace)
    with RunningSimulator(settings) as simulator:
        yield Work(tmp_path, simulator, texts(_COUNT), lake=s3_location)


@contextmanager
def _asking(work: Work, server: PermitServer) -> Iterator[list[Exception]]:
    """A task in a thread; what it raised is in the list at the end of the block."""
    raised: list[Exception] = []

    def ask() -> None:
        try:
            ask_model(work.task(server, "run"))
        except StorageError as error:
            raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    yield raised
    thread.join(60)
    assert not thread.is_alive()


def _wait_until_nothing_is_asked(work: Work) -> int:
    """Returns how many requests there were when no more came."""
    deadline = time.monotonic() + 30
    before, since = -1, 0.0
    while before != work.simulator.summary().requests or time.monotonic() - since < _STILL_SECONDS:
        assert time.monotonic() < deadline
        if before != (now := work.simulator.summary().requests):
            before, since = now, time.monotonic()
        time.sleep(0.01)
    return before


def test_while_s3_is_cut_nothing_is_asked_and_when_it_is_back_nothing_is_lost_or_asked_twice(
    work: Work, proxy: FaultProxy
) -> None:
    with PermitServer([work.simulator.url], LIMITS) as server, _asking(work, server) as raised:
        wait_for(lambda: work.simulator.summary().requests >= 10)
        proxy.lost_requests = _EVERY_PUT
        asked = _wait_until_nothing_is_asked(work)
        assert asked < _COUNT
        proxy.lost_requests = 0
    assert not raised
    assert work.simulator.summary().requests == _COUNT
    assert {status for status, _ in work.answers()} == {"answered"}


def test_when_s3_is_cut_for_good_the_run_ends_in_one_line_and_what_was_durable_stays(
    work: Work, proxy: FaultProxy
) -> None:
    with PermitServer([work.simulator.url], LIMITS) as server:
        with _asking(work, server) as raised:
            wait_for(lambda: work.simulator.summary().requests >= 30)
            proxy.lost_requests = _EVERY_PUT
        assert [str(error).count("\n") for error in raised] == [0]
        asked = work.simulator.summary().requests
        assert 30 <= asked < _COUNT
        proxy.lost_requests = 0
        index = work.index()
        durable = sum(index.get(request.request_key) is not None for request in work.requests())
        assert 0 < durable < asked
        ask_model(work.task(server, "next"))
    assert work.simulator.summary().requests == asked + _COUNT - durable
    assert {status for status, _ in work.answers()} == {"answered"}
    assert work.simulator.summary().peak_in_flight <= CAP
