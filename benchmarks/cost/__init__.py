"""What a batch costs on this machine whose answers are there: seconds a stage, and memory by process."""

from benchmarks.cost.run import main

__all__ = ["main"]
