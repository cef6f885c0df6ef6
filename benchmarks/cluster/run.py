"""Measures runs on a cluster of two workers with one core each, and two stand-ins, one four times as fast."""

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from shared.network_namespaces import HERE
from shared.spark_cluster import RunningCluster, running_cluster

from benchmarks.cluster.batches import write_batch
from benchmarks.cluster.cuts import CUTS, measure_cut
from benchmarks.cluster.runs import Place, account, at_work, outcome, wait
from benchmarks.cluster.servers import CAP, environment_of, print_servers, two_servers
from benchmarks.cluster.stages import read_stages

__all__ = ["main"]

_PAGES: Final = 20_000
_UNEVEN_PAGES: Final = 2_000
_FEW_PAGES: Final = 600
# Tokens a second of a slot of the fast server.
_RATE: Final = 400.0
_LONGEST_SECONDS: Final = 5_400.0


def main(arguments: Sequence[str] = ()) -> None:
    """Prints a table for each; without an option all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=_PAGES, help="of the long batch; others have fewer")
    parser.add_argument("--only", choices=_MEASURES, help="nothing else")
    parser.add_argument("--cut", choices=CUTS, help="nothing else but this one of the cuts")
    options = parser.parse_args(arguments)
    if options.cut:
        measure_cut(CUTS[options.cut], min(_FEW_PAGES, options.pages))
        return
    for name in [options.only] if options.only else _MEASURES:
        _MEASURES[name](options.pages)


def measure_long(pages: int) -> None:
    """One document with all of the pages."""
    measure_batch("one document", pages)


def measure_uneven(pages: int) -> None:
    """Batches of which one page, or a few, have most of the work."""
    for name in ("a page of 2 MB", "95 % of answers on 5 % of pages"):
        measure_batch(name, min(_UNEVEN_PAGES, pages))


def measure_batch(name: str, pages: int) -> None:
    """One run over a batch: its stages, and what the servers saw."""
    with (
        _folder() as folder,
        two_servers(HERE, HERE, _RATE) as urls,
        running_cluster(folder / "cluster", environment_of(urls), [HERE, HERE]) as cluster,
    ):
        place = _place(folder, cluster, urls)
        write_batch(folder / "pages.duckdb", name, pages)
        with at_work(place) as process:
            seconds = wait(process, place, _LONGEST_SECONDS)
        print(f"\n{pages:,} pages, {name}: {seconds:.0f} s; {outcome(account(place))}")
        print_servers(urls)
        print(
            f"{'stage':>7}{'tasks':>7}{'hosts':>7}{'s':>8}{'mean':>8}{'longest':>9}{'alone':>8}{'failed':>8}"
        )
        for stage in read_stages(place.events):
            print(
                f"{stage.number:>7}{stage.tasks:>7}{stage.hosts:>7}{stage.seconds:>8.1f}{stage.mean:>8.2f}"
                f"{stage.longest:>9.2f}{stage.alone:>8.2f}{stage.failed:>8}"
                f"{'  waits' if stage.alone > 2 * stage.mean else ''}"
            )


def measure_cuts(pages: int) -> None:
    """The network goes away for a while, each time between others."""
    for cut in CUTS.values():
        measure_cut(cut, min(_FEW_PAGES, pages))


def measure_drivers(pages: int) -> None:
    """Two drivers, each with a DAGSTER_HOME of its own and half of the cap."""
    pages = min(_FEW_PAGES, pages)
    with (
        _folder() as folder,
        two_servers(HERE, HERE, _RATE) as urls,
        running_cluster(folder / "cluster", environment_of(urls), [HERE, HERE]) as cluster,
        ExitStack() as stack,
    ):
        places = []
        for name in ("first", "second"):
            own = folder / name
            own.mkdir()
            half = {"PREANNOTATION_MAX_IN_FLIGHT": str(CAP // 2)}
            places.append(_place(own, cluster, urls, half, cores=1))
            write_batch(own / "pages.duckdb", "even", pages)
        running = [stack.enter_context(at_work(place)) for place in places]
        seconds = [
            wait(process, place, _LONGEST_SECONDS) for process, place in zip(running, places, strict=True)
        ]
        print(f"\ntwo drivers with {CAP // 2} requests each: {sum(seconds):.0f} s")
        for place in places:
            print(outcome(account(place)))
        print_servers(urls)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="preannotation-bench-") as name:
        yield Path(name)


def _place(
    folder: Path,
    cluster: RunningCluster,
    urls: Sequence[str],
    environment: Mapping[str, str] | None = None,
    cores: int | None = None,
) -> Place:
    own = {"PREANNOTATION_MAX_IN_FLIGHT": str(CAP), **(environment or {})}
    return Place(folder, cluster.url, urls, HERE, own, cores)


_MEASURES: Final = {
    "long": measure_long,
    "uneven": measure_uneven,
    "cut": measure_cuts,
    "drivers": measure_drivers,
}
