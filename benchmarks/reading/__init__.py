"""What a run reads from the lake: every GET of content, by stage of the run and by kind of object.

Run ``python -m benchmarks.reading [--pages 20000]`` from the root of the repository.
"""

from benchmarks.reading.run import main

__all__ = ["main"]
