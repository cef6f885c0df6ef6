"""The command ``preannotate simulate-openai``."""

import argparse
import os
import sys
from collections.abc import Sequence

from preannotation_assets.errors import PreannotationError, SettingsError
from preannotation_assets.simulator.command import fault_rule
from preannotation_assets.simulator.faults import Fault
from preannotation_assets.simulator.openai.running import serve
from preannotation_assets.simulator.openai.settings import (
    BatchTimes,
    Flavour,
    GrammarBackend,
    OpenAiSettings,
    ServedModel,
)
from preannotation_assets.simulator.settings import HabitRates

__all__ = ["KEY_VARIABLE", "add_arguments", "main", "run", "settings_of"]

KEY_VARIABLE = "PREANNOTATION_SERVER_API_KEY"
_DEFAULTS = OpenAiSettings()
_PORT = 8_000


def main(program: str, arguments: Sequence[str]) -> int:
    """Serve as the arguments say, until a signal; the exit status, 2 for bad usage.

    ``program`` is what was called, for the usage line.
    """
    parser = argparse.ArgumentParser(
        prog=program, description="A stand-in for vLLM or llama.cpp's server; not a language model."
    )
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to ``parser``."""
    parser.add_argument("--flavour", type=Flavour, choices=list(Flavour), default=_DEFAULTS.flavour)
    parser.add_argument("--host", default=_DEFAULTS.host)
    parser.add_argument("--port", type=int, default=_PORT, help="0 takes a free port")
    parser.add_argument("--model", action="append", metavar="NAME", help="a served name; may be repeated")
    parser.add_argument("--root", default=_DEFAULTS.model.root, help="what the model was started from")
    parser.add_argument("--server-version", default=_DEFAULTS.version, help="what /version says")
    parser.add_argument("--require-key", action="store_true", help=f"ask for the key in {KEY_VARIABLE}")
    _add_engine(parser)
    _add_answers(parser)


def _add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--window", type=int, default=_DEFAULTS.window, help="tokens of prompt and answer")
    parser.add_argument("--most-sequences", type=int, default=_DEFAULTS.most_sequences, help="run at once")
    parser.add_argument("--most-queued", type=int, help="more are answered 503; without it none is")
    parser.add_argument("--most-batched-tokens", type=int, default=_DEFAULTS.most_batched_tokens)
    parser.add_argument("--kv-tokens", type=int, default=_DEFAULTS.kv_tokens)
    parser.add_argument("--block-tokens", type=int, default=_DEFAULTS.block_tokens)
    parser.add_argument(
        "--speed", type=float, default=_DEFAULTS.speed, help="1 waits as the time model says, 0 not at all"
    )
    times = _DEFAULTS.times
    parser.add_argument("--base-seconds", type=float, default=times.base_seconds, help="of a step")
    parser.add_argument("--sequence-seconds", type=float, default=times.sequence_seconds)
    parser.add_argument("--saturation", type=int, default=times.saturation, help="sequences")
    parser.add_argument("--prefill-rate", type=float, default=times.prefill_rate, help="tokens a second")
    parser.add_argument("--compile-seconds", type=float, default=times.compile_seconds)
    parser.add_argument("--stream-interval", type=int, default=_DEFAULTS.stream_interval, help="tokens")
    parser.add_argument("--restart-seconds", type=float, help="after a death; without it never")


def _add_answers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--backend", type=GrammarBackend, choices=list(GrammarBackend), default="auto")
    parser.add_argument("--disable-whitespace", action="store_true", help="vLLM's disable_any_whitespace")
    parser.add_argument("--endless-whitespace", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--batch-variation", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--answer", metavar="TEXT", help="what every answer is, instead of one by the rules")
    parser.add_argument("--speculate", action="store_true", help="drafts by prompt lookup")
    parser.add_argument("--tell-cached-tokens", action="store_true")
    parser.add_argument("--tell-request-metrics", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-habits", action="store_true", help="answer without mistakes on purpose")
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME=PROBABILITY", help=f"one of {', '.join(Fault)}"
    )
    parser.add_argument("--fault-seconds", type=float, default=1.0, help="of stalls, Retry-After and 524")


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal; returns the exit status: 0, or 2 for settings that cannot be."""
    try:
        serve(settings_of(arguments))
    except PreannotationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def settings_of(arguments: argparse.Namespace) -> OpenAiSettings:
    """The settings that the options say.

    Raises ``SettingsError`` for an unknown fault, a probability that is none, or a missing key.
    """
    return OpenAiSettings(
        flavour=arguments.flavour,
        host=arguments.host,
        port=arguments.port,
        version=arguments.server_version,
        model=ServedModel(tuple(arguments.model or _DEFAULTS.model.names), arguments.root),
        api_key=_key() if arguments.require_key else None,
        window=arguments.window,
        most_sequences=arguments.most_sequences,
        most_queued=arguments.most_queued,
        most_batched_tokens=arguments.most_batched_tokens,
        kv_tokens=arguments.kv_tokens,
        block_tokens=arguments.block_tokens,
        speed=arguments.speed,
        times=BatchTimes(
            arguments.base_seconds,
            arguments.sequence_seconds,
            arguments.saturation,
            arguments.prefill_rate,
            arguments.compile_seconds,
        ),
        backend=arguments.backend,
        disables_whitespace=arguments.disable_whitespace,
        endless_whitespace=arguments.endless_whitespace,
        batch_variation=arguments.batch_variation,
        fixed_answer=arguments.answer,
        speculates=arguments.speculate,
        tells_cached_tokens=arguments.tell_cached_tokens,
        tells_request_metrics=arguments.tell_request_metrics,
        stream_interval=arguments.stream_interval,
        restart_seconds=arguments.restart_seconds,
        seed=arguments.seed,
        habits=HabitRates.NONE if arguments.no_habits else HabitRates(),
        faults=tuple(fault_rule(text, arguments.fault_seconds) for text in arguments.fault),
    )


def _key() -> str:
    try:
        return os.environ[KEY_VARIABLE]
    except KeyError:
        raise SettingsError(f"{KEY_VARIABLE} is not set", "set it in the environment") from None
