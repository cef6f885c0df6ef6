"""``preannotate simulate-ollama``."""

import argparse
from typing import Final

__all__ = ["NAME", "serve"]

NAME: Final = "simulate-ollama"


def serve(arguments: argparse.Namespace) -> int:
    """Serves the stand-in until a signal comes."""
    from preannotation_assets.simulator.command import main

    return main(f"preannotate {NAME}", arguments.options)
