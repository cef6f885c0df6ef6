"""Asking the model: slot occupancy, two unequal endpoints, CPU and memory of the client.

Run ``python -m benchmarks.inference``, with ``--quick`` in about a minute, with
``--faults`` only the fault matrix. The model is the stand-in
server in processes of its own, whose waiting is real and whose answers are rules. What is measured is the
real path: Spark tasks, permit server, slots shared with other runs, answer store in a local folder.
"""

from benchmarks.inference.run import main

__all__ = ["main"]
