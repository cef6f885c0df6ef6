"""Stages pass nothing to each other through Dagster: each reads what the one before wrote to the lake."""

from typing import Never

from dagster import InitResourceContext, InputContext, IOManager, OutputContext, io_manager

__all__ = ["no_values"]


class _NoValues(IOManager):
    def handle_output(self, context: OutputContext, obj: object) -> Never:
        raise NotImplementedError("a stage returns no value")

    def load_input(self, context: InputContext) -> Never:
        raise NotImplementedError("a stage takes no value")


@io_manager(config_schema={}, description="Keeps nothing: stages write to the lake themselves.")
def no_values(_: InitResourceContext) -> IOManager:
    """An IO manager that is never asked for anything, in the place of one that writes files."""
    return _NoValues()
