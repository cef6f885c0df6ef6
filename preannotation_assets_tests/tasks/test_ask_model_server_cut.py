"""The network to one of two model servers is cut: what the other one answers is kept meanwhile."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from asking_work import CAP, LIMITS, Work
from shared.cut_relay import CutRelay, relay_to
from shared.polling import wait_for
from shared.short_pages import texts

from preannotation_assets.answer_store.index import read_answers
from preannotation_assets.errors import ModelError
from preannotation_assets.model_servers.http_client import Timeouts
from preannotation_assets.simulator import (
    Fault,
    FaultRule,
    HabitRates,
    RunningSimulator,
    SimulatorSettings,
    TimeModel,
)
from preannotation_assets.tasks.ask_model import ask_model
from preannotation_assets.throttling.permit_server import PermitServer

_COUNT = 40
# Longer than the test: what waits for the server that is cut off waits until the network is back.
_PATIENT = Timeouts(small=3600.0)


@dataclass(frozen=True)
class _TwoServers:
    """Work, the server that stays, the other one, and the way to that."""

    work: Work
    staying: RunningSimulator
    other: RunningSimulator
    way: CutRelay

    @property
    def endpoints(self) -> Sequence[str]:
        return (self.staying.url, self.way.url)

    def kept(self) -> Counter[str]:
        """The answers in the store, by the endpoint that gave them."""
        index = self.work.index()
        known = {request.request_key: index.get(request.request_key) for request in self.work.requests()}
        rows = read_answers(self.work.store, {key: answer for key, answer in known.items() if answer})
        return Counter(rows["endpoint"].to_pylist())

    def has_kept_the_rest(self, server: PermitServer) -> bool:
        """Whether all is kept but what the server that is cut off has, and that has something."""
        progress = server.progress()
        staying, other = (progress.totals[endpoint].answered for endpoint in self.endpoints)
        at_other = other + progress.endpoints[self.way.url].in_flight
        return staying + at_other == _COUNT and other > 0 and self.kept()[self.staying.url] == staying


@contextmanager
def _two_servers(folder: Path, *faults_of_other: FaultRule) -> Iterator[_TwoServers]:
    pace = TimeModel(load_seconds=0, prefill_rate=1e9, decode_rate=1_000, slowdown_per_slot=0)
    settings = SimulatorSettings(slots=8, habits=HabitRates.NONE, speed=1.0, time=pace)
    with ExitStack() as stack:
        staying = stack.enter_context(RunningSimulator(settings))
        other = stack.enter_context(RunningSimulator(replace(settings, faults=faults_of_other)))
        way = stack.enter_context(relay_to(other.url, b"GET /api/tags"))
        yield _TwoServers(Work(folder, staying, texts(_COUNT)), staying, other, way)


@contextmanager
def _asking(servers: _TwoServers, server: PermitServer) -> Iterator[list[ModelError]]:
    """A task in a thread; the network is back at the end of the block, and what it raised is in the list."""
    raised: list[ModelError] = []
    task = servers.work.task(server, "run")
    patient = replace(task, asking=replace(task.asking, timeouts=_PATIENT, askers=2 * CAP))

    def ask() -> None:
        try:
            ask_model(patient)
        except ModelError as error:
            raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield raised
    finally:
        servers.way.mend()
        thread.join(60)
    assert not thread.is_alive()


def test_answers_are_kept_while_another_server_does_not_tell_its_digest_and_its_own_afterwards(
    tmp_path: Path,
) -> None:
    with _two_servers(tmp_path) as servers, PermitServer(servers.endpoints, LIMITS) as server:
        with _asking(servers, server) as raised:
            assert servers.way.was_cut.wait(60)
            wait_for(lambda: servers.has_kept_the_rest(server), "the answers of the server that stays")
            # Of which model the others are is not known yet.
            assert servers.kept()[servers.way.url] == 0
        assert not raised
        assert {status for status, _ in servers.work.answers()} == {"answered"}
        asked = [each.summary().requests for each in (servers.staying, servers.other)]
        assert servers.kept() == dict(zip(servers.endpoints, asked, strict=True))
        assert sum(asked) == _COUNT


def test_answers_that_waited_for_a_digest_which_is_another_are_not_kept_and_those_of_others_are(
    tmp_path: Path,
) -> None:
    change = FaultRule(Fault.DIGEST_CHANGE, requests=(1,))
    with (
        _two_servers(tmp_path, change) as servers,
        PermitServer(servers.endpoints, LIMITS) as server,
    ):
        with _asking(servers, server) as raised:
            assert servers.way.was_cut.wait(60)
            wait_for(lambda: servers.has_kept_the_rest(server), "the answers of the server that stays")
        assert [f"changed on {servers.way.url} during the run" in str(error) for error in raised] == [True]
        assert servers.kept() == {servers.staying.url: servers.staying.summary().requests}
