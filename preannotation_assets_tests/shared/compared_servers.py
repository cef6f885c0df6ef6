"""Two stand-ins of different quality: one answers by the rules, one leaves out and confuses what it finds."""

from collections.abc import Mapping
from contextlib import ExitStack

from preannotation_assets.simulator import HabitRates, RunningSimulator, SimulatedModel, SimulatorSettings

__all__ = ["EXACT", "SLOPPY", "Servers", "compared_servers", "environment_for"]

EXACT, SLOPPY = "exact:70b", "sloppy:1b"
_SLOPPY = HabitRates(repair=0.3, omit=0.35, repeat=0, shorten=0.1, mislabel=0.15, invent=0.1)

Servers = Mapping[str, RunningSimulator]
"""By the name of their model."""


def compared_servers(stack: ExitStack) -> Servers:
    """Starts both, until the stack ends."""
    habits = {EXACT: HabitRates.NONE, SLOPPY: _SLOPPY}
    return {
        model: stack.enter_context(
            RunningSimulator(SimulatorSettings(models=(SimulatedModel(model),), slots=4, habits=rates))
        )
        for model, rates in habits.items()
    }


def environment_for(servers: Servers, model: str) -> dict[str, str]:
    """The settings that ask a model where it is."""
    return {"PREANNOTATION_MODEL": model, "OLLAMA_HOST": servers[model].url}
