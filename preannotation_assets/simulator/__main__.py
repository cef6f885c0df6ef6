"""``python -m preannotation_assets.simulator``: the stand-in server by itself."""

import argparse
import sys

from preannotation_assets.simulator.command import add_arguments, run

__all__: list[str] = []

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m preannotation_assets.simulator",
        description="A stand-in for Ollama; not a language model.",
    )
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
