"""``preannotate demo`` and ``preannotate dev``: the product on a machine that has nothing else."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from preannotation_assets.demo.sample import SAMPLE_DATASET, write_sample_database
from preannotation_assets.running import RunRequest, run_dataset
from preannotation_assets.settings import Settings
from preannotation_assets.simulator import RunningSimulator, SimulatedModel, SimulatorSettings

__all__ = ["run_demo", "run_dev"]

# A stand-in that is 40 times faster than its time model: 25 answer tokens a second would be real.
_SPEED: Final = 40.0


def run_demo(settings: Settings) -> int:
    """Runs the main job on the sample batch, with a stand-in model if none is configured."""
    with _with_model(settings) as complete:
        _say(f"sample batch of {write_sample_database(Path(complete.database))} pages: {complete.database}")
        return run_dataset(complete, RunRequest(SAMPLE_DATASET))


def run_dev(settings: Settings, port: int) -> int:
    """Starts Dagster's web server and daemon until interrupted, with the same defaults as the demo."""
    with _with_model(settings) as complete:
        if not complete.database.startswith("md:") and not Path(complete.database).exists():
            write_sample_database(Path(complete.database))
        environment = os.environ | {"PREANNOTATION_OLLAMA_ENDPOINTS": ",".join(complete.endpoints)}
        command = [
            sys.executable, "-m", "dagster", "dev",
            "--module-name", "preannotation_assets.definitions", "--port", str(port),
        ]  # fmt: skip
        _say(f"Dagster will be on http://127.0.0.1:{port}; stop it with Ctrl-C")
        with subprocess.Popen(command, env=environment) as process:
            with _signals_passed_on(process):
                return process.wait()


@contextmanager
def _with_model(settings: Settings) -> Iterator[Settings]:
    """The settings, completed with a stand-in's address where no endpoint is configured."""
    if settings.endpoints:
        yield settings
        return
    simulator = SimulatorSettings(
        models=(SimulatedModel(settings.model),), slots=settings.max_in_flight, speed=_SPEED
    )
    with RunningSimulator(simulator) as running:
        _say(
            f"no Ollama is configured: a stand-in answers by rules on {running.url}; its answers prove nothing"
        )
        yield replace(settings, endpoints=(running.url,))


@contextmanager
def _signals_passed_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Lets the child end by itself when this process is told to; Ctrl-C reaches it anyway."""
    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: process.terminate()),
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
