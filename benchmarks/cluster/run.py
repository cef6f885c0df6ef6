"""Measures runs on a cluster of two workers with one core each, and two stand-ins, one four times as fast."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from shared.network_namespaces import HERE, Machine, NoNamespacesError, machines
from shared.spark_cluster import RunningCluster, running_cluster

from benchmarks.cluster.batches import write_batch
from benchmarks.cluster.lake import CREDENTIALS, lake_on, published_there
from benchmarks.cluster.runs import SOURCE, Place, account, at_work, wait
from benchmarks.cluster.stages import read_stages
from benchmarks.inference.servers import count_requests, started

__all__ = ["main"]

_PAGES: Final = 20_000
_UNEVEN_PAGES: Final = 2_000
_FEW_PAGES: Final = 600
_CAP: Final = 16
# Tokens a second of a slot; the answers have 26 to 30.
_FAST, _SLOW = 400.0, 100.0
_LONGEST_SECONDS: Final = 5_400.0
_MACHINES: Final = ("driver", "one", "two", "server", "lake")
# Which of them loses its network, and for how many seconds.
_CUTS: Final = (("one", 200.0), ("one", 30.0), ("driver", 30.0))
_LOOK_SECONDS: Final = 0.2


def main(arguments: Sequence[str] = ()) -> None:
    """Prints a table for each; without an option all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=_PAGES, help="of the long batch; others have fewer")
    parser.add_argument("--only", choices=_MEASURES, help="nothing else")
    options = parser.parse_args(arguments)
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
        _servers(HERE) as urls,
        running_cluster(folder / "cluster", _environment(urls), [HERE, HERE]) as cluster,
    ):
        place = _place(folder, cluster, urls)
        write_batch(folder / "pages.duckdb", name, pages)
        with at_work(place) as process:
            seconds = wait(process, place, _LONGEST_SECONDS)
        print(f"\n{pages:,} pages, {name}: {seconds:.0f} s; {_outcome(account(place))}")
        _print_servers(urls)
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
    """Driver, workers, server and lake on machines of their own; the cable of one is pulled."""
    pages = min(_FEW_PAGES, pages)
    for name, seconds in _CUTS:
        try:
            with machines(_MACHINES) as hosts:
                _measure_cut(hosts, pages, name, seconds)
        except NoNamespacesError as error:
            print(f"\nno network namespaces here: {error}")
            return


def _measure_cut(hosts: Sequence[Machine], pages: int, name: str, seconds: float) -> None:
    driver, one, two, server, lake = hosts
    alone = hosts[_MACHINES.index(name)]
    with _folder() as folder, lake_on(lake, folder) as address, _servers(server) as urls:
        environment = _environment(urls) | CREDENTIALS | {"AWS_ENDPOINT_URL": address}
        with running_cluster(folder / "cluster", environment, [one, two], driver) as cluster:
            place = _place(
                folder, cluster, urls, driver, {**environment, "PREANNOTATION_ROOT": "s3://lake/here"}
            )
            write_batch(folder / "pages.duckdb", "even", pages)
            with at_work(place) as process:
                while sum(map(count_requests, urls)) < pages // 4 and process.poll() is None:
                    time.sleep(_LOOK_SECONDS)
                alone.cut()
                time.sleep(seconds)
                alone.mend()
                rest = wait(process, place, _LONGEST_SECONDS)
        print(
            f"\n{name} cut off for {seconds:.0f} s: {rest:.0f} s more; {_outcome(published_there(address))}"
        )
        _print_servers(urls)
        failed = sum(stage.failed for stage in read_stages(place.events))
        print(f"  {failed} tasks of Spark were begun again")


def measure_drivers(pages: int) -> None:
    """Two drivers, each with a DAGSTER_HOME of its own and half of the cap."""
    pages = min(_FEW_PAGES, pages)
    with (
        _folder() as folder,
        _servers(HERE) as urls,
        running_cluster(folder / "cluster", _environment(urls), [HERE, HERE]) as cluster,
        ExitStack() as stack,
    ):
        places = []
        for name in ("first", "second"):
            own = folder / name
            own.mkdir()
            half = {"PREANNOTATION_MAX_IN_FLIGHT": str(_CAP // 2)}
            places.append(_place(own, cluster, urls, HERE, half, cores=1))
            write_batch(own / "pages.duckdb", "even", pages)
        running = [stack.enter_context(at_work(place)) for place in places]
        seconds = [
            wait(process, place, _LONGEST_SECONDS) for process, place in zip(running, places, strict=True)
        ]
        print(f"\ntwo drivers with {_CAP // 2} requests each: {sum(seconds):.0f} s")
        for place in places:
            print(_outcome(account(place)))
        _print_servers(urls)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="preannotation-bench-") as name:
        yield Path(name)


@contextmanager
def _servers(machine: Machine) -> Iterator[list[str]]:
    with ExitStack() as stack:
        urls = []
        for rate in (_FAST, _SLOW):
            command = [*machine.before, sys.executable, "-m", "preannotation_assets.simulator"]
            options = ["--host", machine.host, "--port", "0", "--load-seconds", "0", "--slots", str(_CAP)]
            pace = ["--speed", "1", "--decode-rate", str(rate), "--prefill-rate", "1000000"]
            urls.append(stack.enter_context(started([*command, *options, *pace])))
        yield urls


def _environment(urls: Sequence[str]) -> dict[str, str]:
    return {"PYTHONPATH": str(SOURCE), "PREANNOTATION_OLLAMA_ENDPOINTS": ",".join(urls)}


def _place(
    folder: Path,
    cluster: RunningCluster,
    urls: Sequence[str],
    machine: Machine = HERE,
    environment: Mapping[str, str] | None = None,
    cores: int | None = None,
) -> Place:
    own = {"PREANNOTATION_MAX_IN_FLIGHT": str(_CAP), **(environment or {})}
    return Place(folder, cluster.url, urls, machine, own, cores)


def _outcome(manifest: Mapping[str, Any]) -> str:
    return (
        f"{manifest['pages_processed']:,} pages done, {len(manifest['failed_pages'])} failed, "
        f"{manifest['rows']:,} rows"
    )


def _print_servers(urls: Sequence[str]) -> None:
    """What they saw; a page may be asked again at the other one."""
    asked: list[str] = []
    for url in urls:
        summary = httpx.get(f"{url}/simulator/summary", timeout=60).json()
        records = httpx.get(f"{url}/simulator/requests", timeout=600).json()["requests"]
        of_pages = [record["prompt_sha256"] for record in records if not _is_without_page(record)]
        print(
            f"  {len(of_pages):,} requests about pages, {summary['peak_in_flight']} in flight at most, "
            f"{summary['disconnected']} left by their client, slots busy {summary['occupancy'] or 0:.2f}"
        )
        asked += of_pages
    print(f"  {len(asked) - len(set(asked)):,} of {len(asked):,} asked again")


def _is_without_page(record: Mapping[str, Any]) -> bool:
    """A load, or the warm-up of a slot, which is cut off behind one token."""
    is_warm_up = record["done_reason"] == "length" and record["output_tokens"] == 1
    return bool(record["is_load_only"]) or is_warm_up


_MEASURES: Final = {
    "long": measure_long,
    "uneven": measure_uneven,
    "cut": measure_cuts,
    "drivers": measure_drivers,
}
