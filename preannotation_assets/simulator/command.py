"""The command ``preannotate simulate-ollama``."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence

from preannotation_assets.errors import PreannotationError, SettingsError
from preannotation_assets.simulator.faults import Fault, FaultRule
from preannotation_assets.simulator.running import serve
from preannotation_assets.simulator.settings import (
    AccessCredentials,
    HabitRates,
    SimulatedModel,
    SimulatorSettings,
    TimeModel,
)

__all__ = ["add_arguments", "fault_rule", "main", "run", "settings_of"]

_DEFAULTS = SimulatorSettings()
_OLLAMA_PORT = 11_434


def main(program: str, arguments: Sequence[str]) -> int:
    """Serve as the arguments say, until a signal; the exit status, 2 for bad usage.

    ``program`` is what was called, for the usage line.
    """
    parser = argparse.ArgumentParser(prog=program, description="A stand-in for Ollama; not a language model.")
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command to ``parser``."""
    parser.add_argument("--host", default=_DEFAULTS.host)
    parser.add_argument("--port", type=int, default=_OLLAMA_PORT, help="0 takes a free port")
    parser.add_argument("--model", action="append", metavar="NAME", help="a model to offer; may be repeated")
    parser.add_argument("--thinking-model", action="append", default=[], metavar="NAME")
    parser.add_argument("--cloud-model", action="append", default=[], metavar="NAME")
    parser.add_argument(
        "--jinja-model", action="append", default=[], metavar="NAME", help="without a Go template"
    )
    parser.add_argument(
        "--windowed-model", action="append", default=[], metavar="NAME", help="with a sliding window"
    )
    parser.add_argument("--ollama-version", default=_DEFAULTS.version, help="what /api/version says")
    parser.add_argument(
        "--slots", type=int, default=4, help="requests answered at once (OLLAMA_NUM_PARALLEL)"
    )
    parser.add_argument(
        "--context", type=int, default=_DEFAULTS.default_context, help="num_ctx without a request's own"
    )
    parser.add_argument(
        "--speed", type=float, default=_DEFAULTS.speed, help="1 waits as the time model says, 0 not at all"
    )
    parser.add_argument("--load-seconds", type=float, default=TimeModel().load_seconds)
    parser.add_argument(
        "--prefill-rate", type=float, default=TimeModel().prefill_rate, help="tokens a second"
    )
    parser.add_argument(
        "--decode-rate", type=float, default=TimeModel().decode_rate, help="tokens a second of a slot alone"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-habits", action="store_true", help="answer without mistakes on purpose")
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME=PROBABILITY", help=f"one of {', '.join(Fault)}"
    )
    parser.add_argument("--fault-seconds", type=float, default=1.0, help="of stalls, Retry-After and 524")
    parser.add_argument(
        "--require-access",
        action="store_true",
        help="ask for CF_ACCESS_CLIENT_ID and _SECRET of the environment",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal; returns the exit status: 0, or 2 for settings that cannot be."""
    try:
        serve(settings_of(arguments))
    except PreannotationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def settings_of(arguments: argparse.Namespace) -> SimulatorSettings:
    """The settings that the options say.

    Raises ``SettingsError`` for an unknown fault, a probability that is none, or missing credentials.
    """
    return SimulatorSettings(
        host=arguments.host,
        port=arguments.port,
        version=arguments.ollama_version,
        models=tuple(_models(arguments)),
        slots=arguments.slots,
        default_context=arguments.context,
        speed=arguments.speed,
        time=TimeModel(arguments.load_seconds, arguments.prefill_rate, arguments.decode_rate),
        seed=arguments.seed,
        habits=HabitRates.NONE if arguments.no_habits else HabitRates(),
        faults=tuple(fault_rule(text, arguments.fault_seconds) for text in arguments.fault),
        access=_credentials() if arguments.require_access else None,
    )


def _models(arguments: argparse.Namespace) -> Iterator[SimulatedModel]:
    names = arguments.model or [model.name for model in _DEFAULTS.models]
    yield from map(SimulatedModel, names)
    for name in arguments.thinking_model:
        yield SimulatedModel(name, is_thinking=True)
    for name in arguments.cloud_model:
        yield SimulatedModel(name, is_cloud=True)
    for name in arguments.jinja_model:
        yield SimulatedModel(name, is_jinja=True)
    for name in arguments.windowed_model:
        yield SimulatedModel(name, has_sliding_window=True)


def fault_rule(text: str, seconds: float) -> FaultRule:
    """The rule of one ``--fault``, ``NAME=PROBABILITY``; raises ``SettingsError``."""
    name, _, probability = text.partition("=")
    if name not in set(Fault):
        raise SettingsError(f"no fault is called {name}", f"choose one of {', '.join(Fault)}")
    try:
        chance = float(probability or 1)
    except ValueError:
        raise SettingsError(f"the probability of fault {name} is no number", "write NAME=0.05") from None
    return FaultRule(Fault(name), probability=chance, seconds=seconds)


def _credentials() -> AccessCredentials:
    try:
        return AccessCredentials(os.environ["CF_ACCESS_CLIENT_ID"], os.environ["CF_ACCESS_CLIENT_SECRET"])
    except KeyError as missing:
        raise SettingsError(f"{missing.args[0]} is not set", "set it in the environment") from None
