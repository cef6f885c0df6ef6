"""Real model servers with a real, small model, as processes of their own, and the figures they keep."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import httpx

from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.server import ModelServer

__all__ = ["CONTEXT_TOKENS", "MODEL", "SLOTS", "Figures", "LlamaCpp", "Ollama", "RealServer", "poll"]

MODEL: Final = "smollm2"
SLOTS: Final = 2
CONTEXT_TOKENS: Final = 2048
PYTHON: Final = Path(__file__).parents[2] / ".venv-model" / "bin" / "python"
_PROCESS: Final = Path(__file__).with_name("llama_cpp_process.py")
# In llama.cpp's log, where a request leaves its slot.
_ENDED: Final = re.compile(r"\| stop processing")
_WEIGHTS: Final = "import llama_cpp_process as process; print(process.find_weights())"


@dataclass(frozen=True)
class Figures:
    """What a server says of itself: requests it works on now; since its start, those that ended, and tokens.

    ``prompt_tokens`` were read; ``cached_tokens`` were in the prompts too, and known already.
    """

    busy: int
    ended: int
    prompt_tokens: int
    cached_tokens: int
    answer_tokens: int


class RealServer(Protocol):
    """A server that runs; ``log`` is what it prints."""

    url: str
    log: Path

    def environment(self) -> dict[str, str]:
        """The settings that point there."""

    def protocol(self) -> ModelServer:
        """How it is asked."""

    def figures(self) -> Figures:
        """Its own figures by now."""


def poll(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} seconds"
        time.sleep(0.05)


@dataclass(frozen=True)
class LlamaCpp:
    """llama.cpp's server; its figures are those of ``/metrics``."""

    url: str
    log: Path

    @classmethod
    @contextmanager
    def start(cls, folder: Path) -> Iterator["LlamaCpp"]:
        log = folder / "server.log"
        command = [str(PYTHON), str(_PROCESS), MODEL, str(SLOTS), str(CONTEXT_TOKENS)]
        with (
            log.open("w") as output,
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True
            ) as process,
            _ended(process),
        ):
            assert process.stdout
            address = process.stdout.readline().strip()
            assert address, log.read_text("utf-8")
            yield cls(address, log)

    def environment(self) -> dict[str, str]:
        return {"PREANNOTATION_SERVER": "openai", "PREANNOTATION_SERVER_URLS": self.url}

    def protocol(self) -> ModelServer:
        raise NotImplementedError

    def figures(self) -> Figures:
        # While it reads a prompt it answers nothing else.
        text = httpx.get(f"{self.url}/metrics", timeout=120).raise_for_status().text
        metrics = {
            name: int(float(value)) for name, value in re.findall(r"^llamacpp:(\w+) (\S+)$", text, re.M)
        }
        return Figures(
            metrics["requests_processing"] + metrics["requests_deferred"],
            len(_ENDED.findall(self.log.read_text("utf-8", "replace"))),
            metrics["prompt_tokens_total"],
            metrics["prompt_tokens_cached_total"],
            metrics["tokens_predicted_total"],
        )


@dataclass(frozen=True)
class Ollama:
    """Ollama; its figures are those that its log has from llama.cpp, which does its work."""

    url: str
    log: Path

    @classmethod
    @contextmanager
    def start(cls, folder: Path) -> Iterator["Ollama"]:
        program = shutil.which("ollama")
        assert program
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        environment = os.environ | {
            "HOME": str(folder),
            "OLLAMA_MODELS": str(folder / "models"),
            "OLLAMA_HOST": address,
            "OLLAMA_NUM_PARALLEL": str(SLOTS),
            "OLLAMA_NO_CLOUD": "1",
        }
        log = folder / "server.log"
        with (
            log.open("w") as output,
            subprocess.Popen(
                [program, "serve"], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            ) as process,
            _ended(process),
        ):
            poll(lambda: _answers(f"http://{address}/api/version"), "Ollama answers")
            _create_model(program, folder, environment)
            yield cls(f"http://{address}", log)

    def environment(self) -> dict[str, str]:
        return {"OLLAMA_HOST": self.url}

    def protocol(self) -> ModelServer:
        return OllamaServer()

    def figures(self) -> Figures:
        text = self.log.read_text("utf-8", "replace")

        def total(pattern: str) -> int:
            return sum(int(number) for number in re.findall(pattern, text))

        cached = total(r"cached n_tokens = (\d+)")
        ended = len(_ENDED.findall(text))
        return Figures(
            len(re.findall(r"\| processing task", text)) - ended,
            ended,
            total(r"task\.n_tokens = (\d+)") - cached,
            cached,
            total(r"\|\s+eval time =.*/\s+(\d+) tokens"),
        )


@contextmanager
def _ended(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends a process whatever happens: it is told to, and killed where it does not."""
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10).is_success
    except httpx.TransportError:
        return False


def _create_model(program: str, folder: Path, environment: Mapping[str, str]) -> None:
    weights = subprocess.run(
        [str(PYTHON), "-c", _WEIGHTS], cwd=_PROCESS.parent, capture_output=True, text=True, check=True
    ).stdout.strip()
    modelfile = folder / "Modelfile"
    modelfile.write_text(f"FROM {weights}\n", "utf-8")
    subprocess.run(
        [program, "create", MODEL, "-f", str(modelfile)],
        env=dict(environment),
        capture_output=True,
        check=True,
        timeout=300,
    )
