"""`make bench`: every benchmark, one after the other, each with its table."""

from benchmarks import grounding, inference

if __name__ == "__main__":
    grounding.main()
    inference.main()
