"""`make bench`: every benchmark, one after the other, each with its table."""

import sys

from benchmarks import grounding, inference

if __name__ == "__main__":
    sys.exit(grounding.main() or inference.main())
