"""Where Dagster keeps its runs: DAGSTER_HOME, or ``.dagster`` in the present folder."""

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

__all__ = ["ensure_dagster_home"]

_CONFIGURATION: Final = "dagster.yaml"
_WITHOUT_CONFIGURATION: Final = "telemetry:\n  enabled: false\n"


def ensure_dagster_home(environment: MutableMapping[str, str], folder: Path) -> Path:
    """Makes sure that DAGSTER_HOME is set, exists and has a configuration; returns it.

    Where it is not set, it becomes ``folder/.dagster`` with a copy of ``folder/dagster.yaml``, so that
    the command line and ``make dev`` see the same runs and leave nothing else behind.
    """
    configured = environment.get("DAGSTER_HOME", "")
    if configured:
        home = Path(configured).expanduser().absolute()
        home.mkdir(parents=True, exist_ok=True)
    else:
        home = folder.absolute() / ".dagster"
        home.mkdir(exist_ok=True)
        _copy_configuration(folder / _CONFIGURATION, home / _CONFIGURATION)
    environment["DAGSTER_HOME"] = str(home)
    return home


def _copy_configuration(source: Path, target: Path) -> None:
    wanted = source.read_text("utf-8") if source.is_file() else _WITHOUT_CONFIGURATION
    if target.is_file() and target.read_text("utf-8") == wanted:
        return
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    draft.write_text(wanted, "utf-8")
    draft.replace(target)
