"""The command line of the simulation."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.simulation.scaling import print_tables
from benchmarks.simulation.sizes import measure_sizes
from benchmarks.simulation.validation import validate

__all__ = ["main"]


def main(arguments: Sequence[str] = ()) -> None:
    """Simulates, or measures what the simulation stands on, and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--validate", action="store_true", help="beside measured runs, in some 6 minutes")
    only.add_argument("--sizes", action="store_true", help="what the tables are reckoned from, in a minute")
    parser.add_argument("--repeats", type=int, default=1, help="of each measured run")
    chosen = parser.parse_args(arguments)
    if not (chosen.validate or chosen.sizes):
        print_tables()
        return
    with tempfile.TemporaryDirectory(prefix="preannotation-bench-") as name:
        if chosen.validate:
            validate(Path(name), chosen.repeats)
        else:
            measure_sizes(Path(name))
