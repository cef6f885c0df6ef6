"""Real model servers with a real, small model, as processes of their own, and the figures they keep."""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.request import Request, urlopen

from shared.polling import wait_for

from preannotation_assets.model_servers.ollama.server import OllamaServer
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.model_servers.openai.variant import Software, Variant
from preannotation_assets.model_servers.server import ModelServer

__all__ = ["CONTEXT_TOKENS", "KEY", "MODEL", "SLOTS", "Figures", "LlamaCpp", "Ollama", "RealServer"]

MODEL: Final = "smollm2"
SLOTS: Final = 2
KEY: Final = "key-of-the-real-server"
CONTEXT_TOKENS: Final = 2048
PYTHON: Final = Path(__file__).parents[2] / ".venv-model" / "bin" / "python"
_PROCESS: Final = Path(__file__).with_name("llama_cpp_process.py")
# In llama.cpp's log, where a request gets a slot and where it leaves it.
_BEGUN: Final = re.compile(r"\| processing task")
_ENDED: Final = re.compile(r"\| stop processing")
_WEIGHTS: Final = "import llama_cpp_process as process; print(process.find_weights())"


@dataclass(frozen=True)
class Figures:
    """What a server says of itself: requests that left their slot, and tokens, since its start.

    ``prompt_tokens`` were read; ``cached_tokens`` were in the prompts too, and known already.
    """

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

    def busy(self) -> int:
        """The requests that are in slots now. It is not asked, so that it can be looked at all the time."""


@dataclass(frozen=True)
class LlamaCpp:
    """llama.cpp's server; its figures are those of ``/metrics``."""

    url: str
    log: Path

    @classmethod
    @contextmanager
    def start(cls, folder: Path) -> Iterator["LlamaCpp"]:
        log = folder / "server.log"
        command = [str(PYTHON), str(_PROCESS), MODEL, str(SLOTS), str(CONTEXT_TOKENS), KEY]
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
        return {
            "PREANNOTATION_SERVER": "openai",
            "PREANNOTATION_SERVER_URLS": self.url,
            "PREANNOTATION_SERVER_API_KEY": KEY,
        }

    def protocol(self) -> ModelServer:
        return OpenAIServer(variant=Variant(Software.LLAMA_CPP))

    def figures(self) -> Figures:
        request = Request(f"{self.url}/metrics", headers={"Authorization": f"Bearer {KEY}"})
        with urlopen(request, timeout=120) as response:
            text = response.read().decode()
        metrics = {
            name: int(float(value)) for name, value in re.findall(r"^llamacpp:(\w+) (\S+)$", text, re.M)
        }
        return Figures(
            len(_ENDED.findall(_read(self.log))),
            metrics["prompt_tokens_total"],
            metrics["prompt_tokens_cached_total"],
            metrics["tokens_predicted_total"],
        )

    def busy(self) -> int:
        return _busy(self.log)


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
            wait_for(lambda: _answers(f"http://{address}/api/version"), "Ollama answers", 120)
            _create_model(program, folder, environment)
            yield cls(f"http://{address}", log)

    def environment(self) -> dict[str, str]:
        return {"OLLAMA_HOST": self.url}

    def protocol(self) -> ModelServer:
        return OllamaServer()

    def figures(self) -> Figures:
        text = _read(self.log)

        def total(pattern: str) -> int:
            return sum(int(number) for number in re.findall(pattern, text))

        cached = total(r"cached n_tokens = (\d+)")
        return Figures(
            len(_ENDED.findall(text)),
            total(r"task\.n_tokens = (\d+)") - cached,
            cached,
            total(r"\|\s+eval time =.*/\s+(\d+) tokens"),
        )

    def busy(self) -> int:
        return _busy(self.log)


def _read(log: Path) -> str:
    return log.read_text("utf-8", "replace")


def _busy(log: Path) -> int:
    text = _read(log)
    return len(_BEGUN.findall(text)) - len(_ENDED.findall(text))


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
        with urlopen(url, timeout=10):
            return True
    except OSError:
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
