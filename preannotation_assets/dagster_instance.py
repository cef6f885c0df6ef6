"""Dagster's instance, opened in one way: Dagster's own errors may repeat its configuration, and passwords."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dagster import DagsterError, DagsterInstance
from yaml import YAMLError

from preannotation_assets.errors import SettingsError

__all__ = ["open_instance"]


@contextmanager
def open_instance(home: Path) -> Iterator[DagsterInstance]:
    """The instance in a folder.

    Raises:
        SettingsError: the folder is not there, or its configuration is none.
    """
    if not home.is_dir():
        raise SettingsError(
            f"Dagster's folder {home} is not there", "set DAGSTER_HOME to the one that is used"
        )
    try:
        instance = DagsterInstance.from_config(str(home))
    except (DagsterError, YAMLError) as error:
        raise SettingsError(
            f"Dagster's instance cannot be opened ({type(error).__name__})", "check DAGSTER_HOME/dagster.yaml"
        ) from None
    with instance:
        yield instance
