"""How large batches would go: a simulation from measured numbers, and how far it can be trusted.

Run ``python -m benchmarks.simulation`` for the tables of docs/scaling.md, with ``--validate`` for what the
simulation says beside measured runs, with ``--sizes`` for the sizes that the tables are reckoned from.
"""

from benchmarks.simulation.run import main

__all__ = ["main"]
