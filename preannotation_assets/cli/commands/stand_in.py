"""``preannotate simulate-ollama`` and ``preannotate simulate-openai``."""

import argparse
from typing import Final

__all__ = ["OLLAMA", "OPENAI", "serve_ollama", "serve_openai"]

OLLAMA: Final = "simulate-ollama"
OPENAI: Final = "simulate-openai"


def serve_ollama(arguments: argparse.Namespace) -> int:
    """Serves the stand-in for Ollama until a signal comes."""
    from preannotation_assets.simulator.command import main

    return main(f"preannotate {OLLAMA}", arguments.options)


def serve_openai(arguments: argparse.Namespace) -> int:
    """Serves the stand-in for OpenAI-compatible servers until a signal comes."""
    from preannotation_assets.simulator.openai.command import main

    return main(f"preannotate {OPENAI}", arguments.options)
