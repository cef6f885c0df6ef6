"""Where Dagster keeps its runs: DAGSTER_HOME, or ``.dagster`` in the present folder."""

import fcntl
import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from preannotation_assets.errors import BatchError, SettingsError

__all__ = ["dataset_lock", "ensure_dagster_home", "interface_lock"]

_CONFIGURATION: Final = "dagster.yaml"
_LOCKS: Final = "preannotate"
_WITHOUT_CONFIGURATION: Final = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"


def ensure_dagster_home(environment: MutableMapping[str, str], folder: Path) -> Path:
    """Makes sure that DAGSTER_HOME is set, exists and has a configuration; returns it.

    Where it is not set, it becomes ``folder/.dagster`` with a copy of ``folder/dagster.yaml``, so that
    the command line and ``make dev`` see the same runs and leave nothing else behind. Where it is set, a
    configuration that is there stays; without one Dagster would send telemetry.

    Raises:
        SettingsError: the folder cannot be used.
    """
    configured = environment.get("DAGSTER_HOME", "")
    home = Path(configured).expanduser().absolute() if configured else folder.absolute() / ".dagster"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not (configured and (home / _CONFIGURATION).exists()):
            _copy_configuration(folder / _CONFIGURATION, home / _CONFIGURATION)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"Dagster's folder {home} cannot be used ({type(error).__name__})",
            "set DAGSTER_HOME to a folder that can be written to",
        ) from None
    environment["DAGSTER_HOME"] = str(home)
    return home


@contextmanager
def dataset_lock(home: Path, dataset: str, run_id: str) -> Iterator[str]:
    """Holds the lock of a dataset, so that one command line at a time asks the model about it.

    Yields the id of the run that held the lock before; the empty string where there was none. The lock
    goes with the process, however it ends.

    Raises:
        BatchError: another process holds it.
        SettingsError: the folder cannot be written to.
    """
    try:
        with _locked(home / _LOCKS / f"{dataset}.lock") as stream:
            stream.seek(0)
            before = stream.read()
            stream.truncate(0)
            stream.write(run_id)
            stream.flush()
            yield before
    except BlockingIOError:
        raise BatchError(f"{dataset} is being materialized by another process", "wait for it") from None


@contextmanager
def interface_lock(home: Path) -> Iterator[None]:
    """Holds the lock of the web interface: who has it knows that no run of another one is alive.

    Raises:
        SettingsError: another process holds it, or the folder cannot be written to.
    """
    try:
        # No dataset's name begins with an underscore.
        with _locked(home / _LOCKS / "_interface.lock"):
            yield
    except BlockingIOError:
        raise SettingsError(f"Dagster is running already on {home}", "use that one, or stop it") from None


@contextmanager
def _locked(path: Path) -> Iterator[TextIO]:
    """An open file that only this process holds; raises BlockingIOError where another one does."""
    try:
        path.parent.mkdir(exist_ok=True)
        stream = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written ({type(error).__name__})", "check DAGSTER_HOME"
        ) from None
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield stream


def _copy_configuration(source: Path, target: Path) -> None:
    wanted = source.read_text("utf-8") if source.is_file() else _WITHOUT_CONFIGURATION
    if target.is_file() and target.read_text("utf-8") == wanted:
        return
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    draft.write_text(wanted, "utf-8")
    draft.replace(target)
