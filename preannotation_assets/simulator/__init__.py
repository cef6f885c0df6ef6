"""A stand-in for Ollama: its wire protocol, with answers from rules instead of a language model.

For the demo, the tests and the benchmarks. No claim about the quality of a model can be made from
its answers. docs/simulator.md says what it does and does not do.
"""

from preannotation_assets.simulator.character_parts import CharacterParts
from preannotation_assets.simulator.faults import Fault, FaultRule
from preannotation_assets.simulator.journal import RequestRecord, Summary
from preannotation_assets.simulator.running import RunningSimulator, serve
from preannotation_assets.simulator.settings import (
    Ability,
    AccessCredentials,
    HabitRates,
    SimulatedModel,
    SimulatorSettings,
    TimeModel,
)

__all__ = [
    "Ability",
    "AccessCredentials",
    "CharacterParts",
    "Fault",
    "FaultRule",
    "HabitRates",
    "RequestRecord",
    "RunningSimulator",
    "SimulatedModel",
    "SimulatorSettings",
    "Summary",
    "TimeModel",
    "serve",
]
