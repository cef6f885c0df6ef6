"""Driver, workers, servers and lake on machines of their own; some lose their network for a while."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final

from shared.network_namespaces import Machine, NoNamespacesError, apart, machines
from shared.spark_cluster import running_cluster

from benchmarks.cluster.batches import write_batch
from benchmarks.cluster.lake import CREDENTIALS, has_answers_beside_chunks, lake_on, published_there, puts
from benchmarks.cluster.runs import Place, at_work, outcome, wait
from benchmarks.cluster.servers import (
    CAP,
    PageRequest,
    environment_of,
    page_requests,
    print_servers,
    two_servers,
)
from benchmarks.cluster.stages import read_happenings, read_stages
from benchmarks.inference.servers import count_requests

__all__ = ["CUTS", "measure_cut"]

_MACHINES: Final = ("driver", "one", "two", "fast", "slow", "lake")
# So slow that a server has all it may have in flight when it is cut off: requests of seconds.
_RATE: Final = 48.0
_LONGEST_SECONDS: Final = 5_400.0
_LOOK_SECONDS: Final = 0.2
# An answer is durable after the flush interval of 3 s and the writing.
_DURABLE_SECONDS: Final = 4.0


@dataclass(frozen=True)
class Cut:
    """Which machines lose their network for how many seconds.

    With more than one they lose each other and reach all else. ``grounds`` says that it happens when all is
    asked, otherwise a quarter is. ``lost_after`` is Spark's ``spark.worker.timeout`` in seconds, None for its
    own 60.
    """

    machines: tuple[str, ...]
    seconds: float
    grounds: bool = False
    lost_after: int | None = None

    @property
    def name(self) -> str:
        """For the command line."""
        when = ", grounding" if self.grounds else ""
        lost = f", lost after {self.lost_after} s" if self.lost_after else ""
        return f"{'-'.join(self.machines)} {self.seconds:.0f} s{when}{lost}"

    @property
    def spark_options(self) -> dict[str, str]:
        """What master and workers find in their environment."""
        if self.lost_after is None:
            return {}
        option = f"-Dspark.worker.timeout={self.lost_after}"
        return {"SPARK_MASTER_OPTS": option, "SPARK_WORKER_OPTS": option}


CUTS: Final = {
    cut.name: cut
    for cut in (
        Cut(("one",), 30.0),
        Cut(("one",), 200.0),
        Cut(("one",), 200.0, lost_after=20),
        Cut(("driver",), 30.0),
        Cut(("driver", "one", "two"), 30.0),
        Cut(("fast",), 30.0),
        Cut(("fast",), 120.0),
        Cut(("lake",), 30.0),
        Cut(("lake",), 30.0, grounds=True),
        Cut(("driver", "lake"), 30.0),
    )
}
"""What is tried, by name."""


def measure_cut(cut: Cut, pages: int) -> None:
    """One run: whether it ends complete, what was asked again and whether that was in flight."""
    try:
        with machines(_MACHINES) as made:
            _measure(cut, dict(zip(_MACHINES, made, strict=True)), pages)
    except NoNamespacesError as error:
        print(f"\nno network namespaces here: {error}")


def _measure(cut: Cut, hosts: Mapping[str, Machine], pages: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="preannotation-bench-") as name,
        lake_on(hosts["lake"], Path(name)) as address,
        two_servers(hosts["fast"], hosts["slow"], _RATE) as urls,
    ):
        folder = Path(name)
        environment = environment_of(urls) | CREDENTIALS | {"AWS_ENDPOINT_URL": address}
        workers = [hosts["one"], hosts["two"]]
        spark = environment | cut.spark_options
        with running_cluster(folder / "cluster", spark, workers, hosts["driver"]) as cluster:
            own = {"PREANNOTATION_ROOT": "s3://lake/here", "PREANNOTATION_MAX_IN_FLIGHT": str(CAP)}
            place = Place(folder, cluster.url, urls, hosts["driver"], environment | own)
            write_batch(folder / "pages.duckdb", "even", pages)

            def is_time() -> bool:
                if cut.grounds:
                    return has_answers_beside_chunks(address)
                return sum(map(count_requests, urls)) >= pages // 4

            with at_work(place) as process:
                while not is_time():
                    if process.poll() is not None:
                        raise RuntimeError(place.log.read_text("utf-8", "replace")[-2000:])
                    time.sleep(_LOOK_SECONDS)
                began = time.time()
                with _cut([hosts[name] for name in cut.machines]):
                    time.sleep(cut.seconds)
                ended = time.time()
                rest = wait(process, place, _LONGEST_SECONDS)
        print(f"\n{cut.name}: {rest:.0f} s more; {outcome(published_there(address))}")
        _print_asking(place, began, ended)


def _print_asking(place: Place, began: float, ended: float) -> None:
    """What the servers, the lake and Spark saw of a run whose network was away meanwhile."""
    print_servers(place.urls)
    by_server = [page_requests(url) for url in place.urls]
    for requests in by_server:
        _print_arrivals(requests, began, ended)
    every = [request for requests in by_server for request in requests]
    asked_last = max(request.arrived for request in every)
    for requests in by_server:
        _print_idle(requests, began, min(ended, asked_last))
    _print_repeated(every, began, ended)
    print(f"  {sum(stage.failed for stage in read_stages(place.events))} tasks of Spark were begun again")
    for happening in read_happenings(place.events):
        if began <= happening.moment <= ended:
            print(f"  {happening.moment - began:.1f} s: {happening.what}")
    asked_until = max(request.ended for request in every)
    for what, word in (("files of answers", "/answers/"), ("renewals of the lease", "/lease.json")):
        moments = [moment for moment in puts(place.folder, word) if moment <= asked_until]
        met = [moment for moment in moments if began <= moment <= ended]
        print(
            f"  {what} while it asks: longest pause {_longest_pause(moments):.0f} s, "
            f"in the cut {_longest_pause([began, *met, min(ended, asked_until)]):.0f} s"
        )
    _print_warnings(place)


@contextmanager
def _cut(those: Sequence[Machine]) -> Iterator[None]:
    if len(those) > 1:
        with apart(those):
            yield
        return
    those[0].cut()
    try:
        yield
    finally:
        those[0].mend()


def _print_arrivals(requests: Sequence[PageRequest], began: float, ended: float) -> None:
    """Whether a server was asked meanwhile, and how soon afterwards."""
    during = [request.arrived - began for request in requests if began <= request.arrived <= ended]
    after = [request.arrived - ended for request in requests if request.arrived > ended]
    last = f", the last {max(during):.1f} s after it began" if during else ""
    first = f", the first {min(after):.1f} s after it" if after else ""
    print(f"  {len(during)} requests came in the cut{last}; {len(after)} later{first}")


def _print_idle(requests: Sequence[PageRequest], began: float, ended: float) -> None:
    """How much of what a server may have at once it had not, while there was something to ask."""
    seconds = ended - began
    if seconds <= 0:
        return
    met = [
        (max(began, request.arrived), min(ended, request.ended))
        for request in requests
        if request.arrived < ended and request.ended > began
    ]
    idle = CAP * seconds - sum(left - came for came, left in met)
    until = [began, *accumulate((left for _, left in met), max)]
    longest = max(
        came - before for came, before in zip([*(came for came, _ in met), ended], until, strict=True)
    )
    print(
        f"  slots idle in {seconds:.0f} s of the cut: {idle / CAP:.1f} s each, {idle / CAP / seconds:.0%}; "
        f"longest time with nothing in flight {max(0.0, longest):.1f} s"
    )


def _print_repeated(requests: Sequence[PageRequest], began: float, ended: float) -> None:
    """What became of the first request about each page that was asked about again."""
    kinds: dict[str, Callable[[PageRequest], bool]] = {
        "at a server in the cut": lambda first: first.arrived <= ended and first.ended >= began,
        "not durable when it began": lambda first: began - _DURABLE_SECONDS <= first.ended < began,
    }
    counts = dict.fromkeys([*kinds, "neither"], 0)
    seen: dict[str, PageRequest] = {}
    for request in sorted(requests, key=lambda each: each.arrived):
        first = seen.setdefault(request.page, request)
        if first is not request:
            counts[next((kind for kind, holds in kinds.items() if holds(first)), "neither")] += 1
    print(f"  of those asked again, the first request was {counts}")


def _longest_pause(moments: Sequence[float]) -> float:
    return max((after - before for before, after in pairwise(moments)), default=0.0)


def _print_warnings(place: Place) -> None:
    for line in place.log.read_text("utf-8", "replace").splitlines():
        if "WARNING" in line or "asked again" in line:
            print(f"  | {line[:200]}")
