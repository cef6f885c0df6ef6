"""A stand-in for OpenAI-compatible servers, vLLM and llama.cpp's: protocol, traps, continuous batching.

No claim about the quality of a model can be made from its answers. docs/simulator.md says what it does.
"""

from preannotation_assets.simulator.openai.running import RunningOpenAiSimulator, serve
from preannotation_assets.simulator.openai.settings import (
    BatchTimes,
    Flavour,
    GrammarBackend,
    OpenAiSettings,
    ServedModel,
)

__all__ = [
    "BatchTimes",
    "Flavour",
    "GrammarBackend",
    "OpenAiSettings",
    "RunningOpenAiSimulator",
    "ServedModel",
    "serve",
]
