"""A stand-in server, and runs that ask it."""

from shared.asking_runs import new_run, simulator, template

__all__ = ["new_run", "simulator", "template"]
