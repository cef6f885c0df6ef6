"""Runs `preannotate run` over batches of made-up pages: ``python -m benchmarks.cost [--pages N ...]``.

Pages of about 3,000 characters with 12 spans each (``--characters``, ``--spans``), one chunk a page; the
answer store has an answer to every one, so that nothing is asked and all seconds are the pipeline's own. Each
batch is run twice, the second time with nothing to do. Everything is in a temporary folder; the stand-in only
says which model it has. With ``--profile PAGES`` one batch is run in this process (``profiling.py``).
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from benchmarks.cost.memory import ProcessCosts
from benchmarks.cost.profiling import profile_run
from benchmarks.inference.servers import Speed, serve
from benchmarks.reading.batch import DATASET, make_page, write_answers, write_warehouse
from preannotation_assets.definitions import build_resources
from preannotation_assets.lake import StoreLocation, open_store
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.settings import Settings

__all__ = ["main"]

_PAGES: Final = (10, 10_000, 100_000)
_SPANS: Final = 12
_CHARACTERS: Final = 3_000
_STAGES: Final = ("pages", "chunks", "raw_model_outputs", "suggestions")
_LINE: Final = re.compile(r"^(?P<time>\d\d:\d\d:\d\d) (?P<stage>\w+): ", re.MULTILINE)
_BATCH_OF_PAGES: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a command took: seconds in all and of CPU, the most bytes by process and of the driver by stage.

    ``said`` are its lines. What it does behind a stage's line counts to that stage.
    """

    seconds: float
    cpu_seconds: float
    memory: Mapping[str, int]
    by_stage: Mapping[str, int]
    said: str


def main() -> None:
    """Prints a line a run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost")
    parser.add_argument("--pages", type=int, nargs="*", default=_PAGES, help="the sizes of the batches")
    parser.add_argument("--characters", type=int, default=_CHARACTERS, help="of a page, about")
    parser.add_argument("--spans", type=int, default=_SPANS, help="on a page")
    parser.add_argument("--profile", type=int, metavar="PAGES", help="only where the processor time goes")
    parser.add_argument("--functions", action="store_true", help="of the profile, by function too")
    chosen = parser.parse_args()
    if chosen.profile:
        with _batch(chosen.profile, chosen.characters, chosen.spans) as environment:
            profile_run(environment, functions=chosen.functions)
        return
    sizes: Sequence[int] = chosen.pages
    loading = _run([sys.executable, "-c", "import preannotation_assets.definitions"], os.environ)
    print(f"definitions load in {loading.seconds:.1f} s")
    print(f"{'pages':>8} {'run':6} {'s':>7} {'CPU s':>7}  most MB of driver, Java, a worker; what it said")
    for size in sizes:
        with _batch(size, chosen.characters, chosen.spans) as environment:
            for name in ("first", "again"):
                _print(size, name, _run(_command("run", DATASET), environment))
            _print(size, "verify", _run(_command("verify", DATASET), environment))


def _print(pages: int, name: str, cost: _Cost) -> None:
    held = ", ".join(f"{cost.memory.get(kind, 0) / 1e6:.0f}" for kind in ("driver", "java", "worker"))
    moments = ", ".join(f"{time} {stage}" for time, stage in _LINE.findall(cost.said) if stage in _STAGES)
    print(f"{pages:8} {name:6} {cost.seconds:7.1f} {cost.cpu_seconds:7.1f}  {held}; {moments}", flush=True)
    stages = ", ".join(f"{stage} {held / 1e6:.0f}" for stage, held in cost.by_stage.items())
    print(f"{pages:8} {name:6} most MB of the driver by stage: {stages}", flush=True)


_COMMAND: Final = "import sys; from preannotation_assets.cli import main; sys.exit(main())"


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", _COMMAND, *arguments]


def _run(command: Sequence[str], environment: Mapping[str, str]) -> _Cost:
    began = time.monotonic()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        costs, said = ProcessCosts(process), ""
        for line in process.stdout or ():
            said += line
            if found := _LINE.match(line):
                costs.stage_begins(_following(found["stage"], line))
        process.wait()
        costs.end()
    if process.returncode:
        raise SystemExit(f"{said}\nended with status {process.returncode}")
    return _Cost(time.monotonic() - began, costs.cpu_seconds, costs.most, costs.by_stage, said)


def _following(stage: str, line: str) -> str:
    """The stage that begins with a line: a stage's last one says what it came to."""
    is_last = stage in _STAGES and "parts done" not in line and "requests" not in line
    return [*_STAGES, "checks"][_STAGES.index(stage) + 1] if is_last else stage


@contextmanager
def _batch(pages: int, characters: int, spans: int) -> Iterator[Mapping[str, str]]:
    """The environment of a warehouse with so many pages and a lake with the answers to all of them."""
    with (
        tempfile.TemporaryDirectory(prefix="preannotation-cost-") as folder,
        serve(Speed(0.0)) as ollama,
    ):
        environment = {
            **os.environ,
            "OLLAMA_HOST": ollama,
            "PREANNOTATION_DATABASE": f"{folder}/warehouse.duckdb",
            "PREANNOTATION_ROOT": f"{folder}/lake",
            "DAGSTER_HOME": f"{folder}/home",
            "PREANNOTATION_STILL_SECONDS": "0",
        }
        settings = Settings.from_environment(environment)
        store = open_store(StoreLocation(*settings.storage.place()))
        fingerprint = _fingerprint(settings)
        layout = DatasetLayout(DATASET)
        for first in range(0, pages, _BATCH_OF_PAGES):
            numbers = range(first, min(first + _BATCH_OF_PAGES, pages))
            made = [make_page(number, spans=spans, characters=characters) for number in numbers]
            write_warehouse(Path(settings.warehouse.database), made)
            write_answers(store, f"{layout.answers}/an-earlier-run-{first}", made, fingerprint)
        yield environment
        table = pq.read_metadata(Path(folder, "lake", layout.published_suggestions))
        print(f"{pages:8} published {table.num_rows} rows")


def _fingerprint(settings: Settings) -> str:
    """What the request keys of the batch are made of."""
    resources = build_resources(settings)
    access = resources["model_server"].access()
    prompt = access.prompt(resources["label_scheme"].load())
    return access.template(access.identify(os.environ), prompt).fingerprint
