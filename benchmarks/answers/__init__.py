"""Answer formats: tokens a suggestion, and what the order that a format gives does to the grounding.

Run ``python -m benchmarks.answers`` from the root of the repository. It needs the pages of
``../shared/benchmarks`` and Llama 3's tokenizer; without one of them it says so in a line.
"""

from benchmarks.answers.run import main

__all__ = ["main"]
