"""The limit on servers with continuous batching: what it ends at, beside fixed numbers, over HTTP."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inference.asking import RunTasks, ask_what_is_open, prepare
from benchmarks.inference.servers import serve_batch
from preannotation_assets.model_servers.exchange import HttpRequest
from preannotation_assets.model_servers.openai.server import OpenAIServer
from preannotation_assets.model_servers.server import ModelServer
from preannotation_assets.simulator.openai.settings import BatchTimes
from preannotation_assets.throttling.permit_messages import PermitReport

__all__ = ["measure_knee"]

_MOST = 512
# A step takes half as long again with all sequences as with one.
_SLOWDOWN = 0.5
_LETTERS = 300


@dataclass(frozen=True, slots=True)
class _Saturation:
    """A server that is full with so many ``sequences``, and how many ``requests`` it gets.

    ``step_seconds`` are real, with all sequences: long enough that two cores need not hurry.
    """

    sequences: int
    step_seconds: float
    requests: int

    @property
    def tokens_a_second(self) -> float:
        """What it writes when it is full."""
        return self.sequences / self.step_seconds

    @property
    def times(self) -> BatchTimes:
        """Its steps; reading costs next to nothing."""
        base = self.step_seconds / (1 + _SLOWDOWN)
        return BatchTimes(base, (self.step_seconds - base) / self.sequences, self.sequences, 1_000_000)


# Each some 30 to 50 seconds, with 15 to 60 requests a second.
_SATURATIONS = (_Saturation(8, 0.02, 500), _Saturation(64, 0.05, 1_500), _Saturation(256, 0.16, 3_000))


@dataclass(frozen=True, slots=True)
class _WithoutMetrics(OpenAIServer):
    """The same server, of which nothing is known but its answers."""

    def load_request(self) -> HttpRequest | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class _Written:
    """An answer: its end, how long it was written at most, in seconds, and its tokens."""

    at: float
    seconds: float
    tokens: int

    def between(self, since: float, until: float) -> float:
        """How many of its tokens fall into that time, if it was written evenly."""
        inside = min(self.at, until) - max(self.at - self.seconds, since)
        return self.tokens * max(0.0, inside) / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class _Rates:
    """Tokens a second over the batch, and over its last third; ``limit`` is the last."""

    whole: float
    third: float
    limit: int


def measure_knee(texts: Sequence[str], folder: Path, in_this_process: RunTasks) -> None:
    """Prints tokens a second with the limit that is found, beside fixed numbers, in one run."""
    print(f"\n{f'tokens/s, up to {_MOST} in flight':44}{'whole':>11}{'last third':>11}{'limit':>11}", end="")
    print(f"{'of the best fixed':>22}", flush=True)
    for server in _SATURATIONS:
        full = server.sequences
        asked = [f"{texts[place % len(texts)][:_LETTERS]}\n{place}" for place in range(server.requests)]
        name = f"full with {full}"
        print(f"{f'{name}, by its time model':44}{'':>11}{server.tokens_a_second:>11.0f}{full:>11}")
        fixed = []
        for number in (full, full + full // 4):
            fixed.append(_ask(server, number, OpenAIServer(), asked, folder, in_this_process))
            _print(f"{name}, {number} fixed", fixed[-1], None)
        for evidence, known in (("metrics", OpenAIServer()), ("throughput", _WithoutMetrics())):
            found = _ask(server, None, known, asked, folder, in_this_process)
            _print(f"{name}, by {evidence}", found, fixed)


def _print(name: str, rates: _Rates, fixed: Sequence[_Rates] | None) -> None:
    print(f"{name:44}{rates.whole:>11.0f}{rates.third:>11.0f}{rates.limit:>11}", end="")
    if fixed:
        print(f"{rates.whole / max(one.whole for one in fixed):>11.3f}", end="")
        print(f"{rates.third / max(one.third for one in fixed):>11.3f}", end="")
    print(flush=True)


def _ask(
    saturation: _Saturation,
    fixed: int | None,
    server: ModelServer,
    texts: Sequence[str],
    folder: Path,
    in_this_process: RunTasks,
) -> _Rates:
    written: list[_Written] = []

    def note(_: str, report: PermitReport) -> None:
        tokens = report.answer_tokens or 0
        # What it took longer it waited, in the server's queue or for this machine.
        seconds = min(report.latency_seconds or 0.0, tokens * saturation.step_seconds)
        written.append(_Written(time.monotonic(), seconds, tokens))

    with serve_batch(saturation.times, saturation.sequences) as url:
        batch = prepare([url], texts, folder, server)
        began = time.monotonic()
        progress = ask_what_is_open(
            batch, [url], fixed or _MOST, 1, in_this_process, least=fixed or 1, observers=[note]
        )
    limit = progress.endpoints[url].limit
    # Without the last answers, when less is left than may be in flight.
    until = written[-min(limit, len(written))].at
    since = began + (until - began) * 2 / 3
    third = sum(answer.between(since, until) for answer in written) / (until - since)
    whole = sum(answer.tokens for answer in written) / (written[-1].at - began)
    return _Rates(whole, third, limit)
