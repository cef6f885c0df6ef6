"""Stand-in servers, and what they are asked with."""

from shared.asking_runs import simulator, template_with_example

__all__ = ["simulator", "template_with_example"]
