"""Runs the job over a batch four times, and prints what each run fetched."""

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dagster import DagsterInstance

from benchmarks.inference.servers import Speed, serve
from benchmarks.reading.batch import (
    DATASET,
    BatchPage,
    change_pages,
    make_page,
    write_answers,
    write_warehouse,
)
from benchmarks.reading.recording import BUCKET, CREDENTIALS, Fetch, recorded_s3
from preannotation_assets.definitions import build_definitions, build_resources
from preannotation_assets.defs.jobs import preannotate
from preannotation_assets.defs.partitions import add_dataset
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.publishing.publisher import verify_dataset
from preannotation_assets.publishing.report import write_report
from preannotation_assets.publishing.summary import summarize
from preannotation_assets.publishing.verification import SpanRules
from preannotation_assets.settings import Settings

__all__ = ["main"]

_PAGES: Final = 20_000
# Every 20th page was not asked before, and every 100th has another text in the end.
_OPEN: Final = 20
_CHANGED: Final = 100
_LAYOUT: Final = DatasetLayout(DATASET)
_KINDS: Final = {
    "pages": f"{_LAYOUT.work}/pages/",
    "chunks": f"{_LAYOUT.work}/chunks/",
    "answers": f"{_LAYOUT.answers}/",
    "outputs": f"{_LAYOUT.work}/raw_model_outputs/",
    "suggestions": f"{_LAYOUT.work}/suggestions/",
    "published": f"{_LAYOUT.published}/",
}
_STEPS: Final = ("pages", "chunks", "raw_model_outputs", "suggestions", "suggestion_checks")


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one piece of work fetched."""

    name: str
    fetches: Sequence[Fetch]

    @property
    def bytes(self) -> int:
        """All of it."""
        return sum(fetch.bytes for fetch in self.fetches)

    def by_kind(self) -> Counter[str]:
        """The same by kind of object."""
        counted: Counter[str] = Counter()
        for fetch in self.fetches:
            counted[_kind(fetch.key)] += fetch.bytes
        return counted


@dataclass(frozen=True, slots=True)
class _Bench:
    """The batch, where it is, and the server that writes down what is fetched."""

    settings: Settings
    instance: DagsterInstance
    fetches: list[Fetch]

    @property
    def store(self) -> ObjectStore:
        """The lake."""
        return open_store(StoreLocation(*self.settings.storage.place()))

    def run(self) -> list[_Reading]:
        """The job and the account of it, as ``preannotate run`` does both."""
        first = len(self.fetches)
        definitions = build_definitions(self.settings)
        result = definitions.resolve_job_def(preannotate.name).execute_in_process(
            run_config={"loggers": {"console": {}}},
            instance=self.instance,
            partition_key=DATASET,
            raise_on_error=True,
        )
        ends = _step_ends(self.instance, result.run_id)
        made, before = self.fetches[first:], 0.0
        readings = []
        for step in _STEPS:
            readings.append(_Reading(step, [each for each in made if before <= each.at < ends[step]]))
            before = ends[step]
        return [*readings, self._account(result.run_id)]

    def _account(self, run_id: str) -> _Reading:
        first = len(self.fetches)
        summarize(self.store, DATASET, run_id)
        write_report(self.store, DATASET, load_label_scheme(self.settings.labels.path))
        return _Reading("summary, preview", self.fetches[first:])

    def verify(self) -> list[_Reading]:
        """As ``preannotate verify`` does it."""
        first = len(self.fetches)
        scheme = load_label_scheme(self.settings.labels.path)
        verify_dataset(self.store, DATASET, SpanRules(scheme.label_names, scheme.overlaps))
        return [_Reading("verify", self.fetches[first:])]

    def stored(self) -> Counter[str]:
        """The bytes of the objects by kind."""
        counted: Counter[str] = Counter()
        for entry in self.store.list("argilla/"):
            counted[_kind(entry.key)] += entry.size
        return counted

    def page_parts(self) -> int:
        """How many there are, and so Spark tasks of chunking and of grounding."""
        return sum(_kind(entry.key) == "pages" for entry in self.store.list(_KINDS["pages"]))


def _kind(key: str) -> str:
    fitting = (kind for kind, prefix in _KINDS.items() if key.startswith(prefix) and key.endswith(".parquet"))
    return next(fitting, "other")


def _step_ends(instance: DagsterInstance, run_id: str) -> dict[str, float]:
    """When each step ended, seconds since the epoch."""
    return {
        entry.step_key: entry.timestamp
        for entry in instance.all_logs(run_id)
        if entry.step_key and entry.dagster_event and entry.dagster_event.is_step_success
    }


def _fingerprint(settings: Settings) -> str:
    """What the request keys of the batch are made of."""
    resources = build_resources(settings)
    access = resources["model_server"].access()
    prompt = access.prompt(resources["label_scheme"].load())
    return access.template(access.identify(os.environ), prompt).fingerprint


@contextmanager
def _bench(pages: Sequence[BatchPage]) -> Iterator[_Bench]:
    """A warehouse with the pages and a lake with answers to most of them."""
    with (
        tempfile.TemporaryDirectory(prefix="preannotation-reading-") as folder,
        recorded_s3() as server,
        serve(Speed(0.0)) as ollama,
        DagsterInstance.ephemeral() as instance,
    ):
        environment = {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": server.url,
            "OLLAMA_HOST": ollama,
            "PREANNOTATION_DATABASE": str(Path(folder) / "warehouse.duckdb"),
            "PREANNOTATION_ROOT": f"s3://{BUCKET}",
            "PREANNOTATION_SPARK_MASTER": "local[2]",
        }
        # Spark's workers take their credentials from there.
        os.environ.update(environment)
        bench = _Bench(Settings.from_environment(os.environ), instance, server.fetches)
        write_warehouse(Path(bench.settings.warehouse.database), pages)
        known = [page for page in pages if page.number % _OPEN]
        write_answers(bench.store, f"{_LAYOUT.answers}/an-earlier-run", known, _fingerprint(bench.settings))
        add_dataset(instance, DATASET)
        yield bench


def _print_readings(title: str, readings: Sequence[_Reading], text: int, stored: Mapping[str, int]) -> None:
    print(f"\n{title}")
    print(f"{'':20}{'MB':>8}{'GETs':>7}{'/ text':>8}{'/ parts':>9}" + "".join(f"{k:>12}" for k in _KINDS))
    everything = _Reading("together", [fetch for reading in readings for fetch in reading.fetches])
    for reading in [*readings, everything]:
        kinds = reading.by_kind()
        shares = "".join(f"{kinds[kind] / stored[kind]:12.2f}" for kind in _KINDS)
        size = reading.bytes
        print(
            f"{reading.name:20}{size / 1e6:8.1f}{len(reading.fetches):7}{size / text:8.2f}"
            f"{size / stored['pages']:9.2f}{shares}"
        )


def main() -> None:
    """Prints a table a run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading")
    parser.add_argument("--pages", type=int, default=_PAGES, help="how many pages the batch has")
    measure(parser.parse_args().pages)


def measure(count: int) -> None:
    """Runs the job over so many pages and prints a table a run."""
    pages = [make_page(number) for number in range(count)]
    text = sum(len(page.text.encode()) for page in pages)
    with _bench(pages) as bench:
        answers = bench.stored()["answers"]
        first = bench.run()
        stored = bench.stored()
        print(f"{count} pages, {text / 1e6:.1f} MB of text in {bench.page_parts()} parts; on S3 (moto)")
        print("bytes by kind: " + ", ".join(f"{kind} {stored[kind] / 1e6:.1f} MB" for kind in _KINDS))
        print("a table a run: what was fetched, over the bytes of all pages' text and of their parts;")
        print("then by kind of object, over what is stored of that kind: 1.00 is each byte once")
        _print_readings(
            f"a run that was ended goes on: 1 of {_OPEN} pages is asked",
            first,
            text,
            {**stored, "answers": answers},
        )
        _print_readings("again, nothing has changed", bench.run(), text, stored)
        _print_readings("verify", bench.verify(), text, stored)
        changed = [make_page(number, edition=1) for number in range(0, count, _CHANGED)]
        change_pages(Path(bench.settings.warehouse.database), changed)
        _print_readings(f"again, 1 of {_CHANGED} pages has another text", bench.run(), text, stored)
