"""A stand-in server, and runs that ask it."""

from shared.asking_runs import new_run, simulator, template, template_with_example

__all__ = ["new_run", "simulator", "template", "template_with_example"]
