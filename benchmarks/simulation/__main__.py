"""Runs the simulation."""

import sys

from benchmarks.simulation.run import main

if __name__ == "__main__":
    main(sys.argv[1:])
