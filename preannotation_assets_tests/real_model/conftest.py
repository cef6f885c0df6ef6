"""A real server, and the story of a batch that it answered: killed, resumed, run again."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from end_to_end.user_place import DATASET, Place, make_place
from shared.polling import wait_for

from real_model.harbour_pages import PAGES, SCHEME
from real_model.real_servers import (
    CONTEXT_TOKENS,
    MODEL,
    PYTHON,
    SLOTS,
    Figures,
    LlamaCpp,
    Ollama,
    RealServer,
)

_KINDS = {"llama.cpp": LlamaCpp, "ollama": Ollama}


@dataclass(frozen=True)
class Ran:
    """A command, what it printed, the server's figures after it; ``status`` is below 0 if it was killed."""

    status: int
    printed: str
    figures: Figures


@dataclass(frozen=True)
class Story:
    """The batch was killed after the first answers, run to its end, and run again.

    ``kept`` is how many answers outlived the kill.
    """

    server: RealServer
    place: Place
    kept: int
    killed: Ran
    resumed: Ran
    again: Ran


@pytest.fixture(scope="session", params=_KINDS)
def real_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    # The environment is there before its packages, which an index may lack.
    if not (PYTHON.parents[1] / "set-up-done").exists():
        pytest.skip("there is no .venv-model with a model and llama.cpp's server: make set-up-model")
    if request.param == "ollama" and not shutil.which("ollama"):
        pytest.skip("Ollama is not installed")
    with _KINDS[request.param].start(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def story(real_server: RealServer, tmp_path_factory: pytest.TempPathFactory) -> Story:
    place = make_place(tmp_path_factory.mktemp("real model") / "user", PAGES, "")
    del place.environment["OLLAMA_HOST"]
    place.environment.update(
        real_server.environment(),
        PREANNOTATION_MODEL=MODEL,
        PREANNOTATION_LABELS=str(SCHEME),
        PREANNOTATION_NUM_CTX=str(CONTEXT_TOKENS),
        PREANNOTATION_NUM_PREDICT="256",
        PREANNOTATION_CHUNK_TOKENS="512",
        PREANNOTATION_OVERLAP_TOKENS="32",
        PREANNOTATION_MAX_IN_FLIGHT=str(SLOTS),
        PREANNOTATION_FLUSH_SECONDS="0.2",
    )
    killed = _killed(place, real_server)
    kept = sum(pq.read_metadata(file).num_rows for file in _answer_files(place))
    return Story(real_server, place, kept, killed, _ran(place, real_server), _ran(place, real_server))


def _answer_files(place: Place) -> Iterator[Path]:
    return (place.lake / "argilla" / "work" / DATASET / "answers").rglob("*.parquet")


def _killed(place: Place, server: RealServer) -> Ran:
    """A run that is killed with the first answers kept and requests in flight; it waits for free slots."""
    command, environment = place.command("run", DATASET)
    log = place.folder.with_name("killed.log")
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, env=environment, cwd=place.folder, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        wait_for(lambda: process.poll() is not None or any(_answer_files(place)), "an answer is kept", 300)
        process.send_signal(signal.SIGKILL)
        status = process.wait(30)
        # The JVM and the workers of a killed driver end by themselves.
        with suppress(ProcessLookupError):
            wait_for(lambda: os.killpg(process.pid, 0) is not None, "the processes of the run ended", 120)
    wait_for(lambda: server.busy() == 0, "the slots are free", 120)
    return Ran(status, log.read_text("utf-8"), server.figures())


def _ran(place: Place, server: RealServer) -> Ran:
    command, environment = place.command("run", DATASET)
    done = subprocess.run(
        command, env=environment, cwd=place.folder, capture_output=True, text=True, timeout=500, check=False
    )
    return Ran(done.returncode, done.stdout + done.stderr, server.figures())
