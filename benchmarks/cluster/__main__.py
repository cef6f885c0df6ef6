"""Runs the benchmark."""

import sys

from benchmarks.cluster.run import main

if __name__ == "__main__":
    main(sys.argv[1:])
