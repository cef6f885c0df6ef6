"""The limit on servers with continuous batching: what it ends at, beside fixed numbers, over HTTP."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inference.asking import RunTasks, ask_what_is_open, prepare
from preannotation_assets.model_servers.exchange import HttpRequest
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.throttling.permit_messages import PermitReport

__all__ = ["measure_knee"]

_MODEL = "llama3.3:70b"
_MOST = 512
_SATURATIONS = (8, 64, 256)
# Of the whole server when it is full: client and server share two cores.
_TOKENS_A_SECOND = 1_500.0
# A step takes half as long again with all sequences as with one.
_SLOWDOWN = 0.5


@dataclass(frozen=True, slots=True)
class _WithoutMetrics(OpenAIServer):
    """The same server, of which nothing is known but its answers."""

    def load_request(self) -> HttpRequest | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class _Rates:
    """Tokens a second over the batch, and over its second half; ``limit`` is the last."""

    whole: float
    half: float
    limit: int


def measure_knee(texts: Sequence[str], count: int, folder: Path, in_this_process: RunTasks) -> None:
    """Prints tokens a second with the limit that is found, beside fixed numbers, in one run."""
    asked = [f"{texts[number % len(texts)][:300]}\n{number}" for number in range(count)]
    print(
        f"\n{f'{count} requests, up to {_MOST} in flight':44}{'tokens/s':>11}{'2nd half':>11}{'limit':>11}",
        end="",
    )
    print(f"{'of the best fixed':>22}", flush=True)
    for saturation in _SATURATIONS:
        fixed = [
            _ask(saturation, number, OpenAIServer(), asked, folder, in_this_process)
            for number in (saturation, min(_MOST, 2 * saturation))
        ]
        for rates in fixed:
            _print(f"saturates at {saturation}, fixed", rates, None)
        for name, server in (("by metrics", OpenAIServer()), ("by throughput", _WithoutMetrics())):
            found = _ask(saturation, None, server, asked, folder, in_this_process)
            _print(f"saturates at {saturation}, {name}", found, fixed)


def _print(name: str, rates: _Rates, fixed: Sequence[_Rates] | None) -> None:
    print(f"{name:44}{rates.whole:>11.0f}{rates.half:>11.0f}{rates.limit:>11}", end="")
    if fixed:
        print(f"{rates.whole / max(one.whole for one in fixed):>11.3f}", end="")
        print(f"{rates.half / max(one.half for one in fixed):>11.3f}", end="")
    print(flush=True)


def _ask(
    saturation: int,
    fixed: int | None,
    server: ModelServer,
    texts: Sequence[str],
    folder: Path,
    in_this_process: RunTasks,
) -> _Rates:
    answers: list[tuple[float, int]] = []

    def note(_: str, report: PermitReport) -> None:
        answers.append((time.monotonic(), report.answer_tokens or 0))

    with _serve(saturation) as url:
        batch = prepare([url], texts, folder, server)
        began = time.monotonic()
        progress = ask_what_is_open(
            batch, [url], fixed or _MOST, 1, in_this_process, least=fixed or 1, observers=[note]
        )
    # Without the last answers, when less is left than may be in flight.
    full = answers[: max(2, len(answers) - (fixed or progress.endpoints[url].limit))]
    middle, last = full[len(full) // 2][0], full[-1][0]
    half = sum(tokens for at, tokens in full if at > middle) / (last - middle)
    whole = sum(tokens for _, tokens in answers) / (answers[-1][0] - began)
    return _Rates(whole, half, progress.endpoints[url].limit)


@contextmanager
def _serve(saturation: int) -> Iterator[str]:
    """The stand-in for vLLM, full with so many sequences."""
    step = saturation / _TOKENS_A_SECOND
    base = step / (1 + _SLOWDOWN)
    options = {
        "port": 0,
        "model": _MODEL,
        "most-sequences": saturation,
        "saturation": saturation,
        "base-seconds": base,
        "sequence-seconds": (step - base) / saturation,
        "prefill-rate": 1_000_000,
        "kv-tokens": 10_000_000,
        "window": 32_768,
    }
    command = [sys.executable, "-m", "preannotation_assets.simulator.openai", "--no-habits"]
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield line.split()[-1]
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()
