"""Answer formats: tokens a suggestion, and what the order that a format gives does to the grounding.

Run ``python -m benchmarks.answers`` from the root of the repository. It needs Llama 3's
tokenizer and the pages of ``GROUNDING_PAGES``, with ``throughput.jsonl.gz`` beside their folder (one object
with a ``text`` a line); without one of them it says so in a line.
"""

from benchmarks.answers.run import main

__all__ = ["main"]
