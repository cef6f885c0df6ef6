"""Dagster's instance as the commands open it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dagster import DagsterError, DagsterInstance
from yaml import YAMLError

from preannotation_assets.errors import SettingsError

__all__ = ["open_instance"]


@contextmanager
def open_instance(home: Path) -> Iterator[DagsterInstance]:
    """The instance in a folder. Its own errors may repeat what is in its configuration.

    Raises:
        SettingsError: its configuration is none.
    """
    try:
        instance = DagsterInstance.from_config(str(home))
    except (DagsterError, YAMLError) as error:
        raise SettingsError(
            f"Dagster's instance cannot be opened ({type(error).__name__})", "check DAGSTER_HOME/dagster.yaml"
        ) from None
    with instance:
        yield instance
