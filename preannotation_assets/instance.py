"""Where Dagster keeps its runs: DAGSTER_HOME, or ``.dagster`` in the present folder."""

import fcntl
import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

import yaml

from preannotation_assets.errors import BatchError, SettingsError

__all__ = [
    "dagster_home",
    "dataset_lock",
    "ensure_dagster_home",
    "interface_lock",
    "is_run_alive",
    "run_lock",
    "say",
]

_CONFIGURATION: Final = "dagster.yaml"
_OURS: Final = Path(__file__).with_name(_CONFIGURATION)
_LOCKS: Final = "preannotate"
# All that earlier releases wrote where they were started in a folder without a dagster.yaml.
_WITHOUT_LIMITS: Final = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
_ONLY_MINE: Final = 0o700


def ensure_dagster_home(environment: MutableMapping[str, str], folder: Path) -> Path:
    """Makes sure that DAGSTER_HOME is set, exists and has a configuration; returns it.

    Where it is not set, it becomes ``folder/.dagster`` with the configuration of this package, so that the
    command line and ``make dev`` see the same runs. Where it is set, a configuration that is there stays, and
    what it lacks of this package's is named on standard error: without it two runs may ask the model at
    once, or a run that was killed stays dead. A folder that is made here is its owner's alone.

    Raises:
        SettingsError: the folder cannot be used.
    """
    configured = environment.get("DAGSTER_HOME", "")
    home = dagster_home(environment, folder)
    target = home / _CONFIGURATION
    try:
        if not home.is_dir():
            home.mkdir(_ONLY_MINE, parents=True)
        if not configured:
            home.chmod(_ONLY_MINE)
            _write_configuration(target)
        elif not target.exists() or _is_without_limits(target):
            _write_configuration(target)
        else:
            _name_what_is_missing(target)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"Dagster's folder {home} cannot be used ({type(error).__name__})",
            "set DAGSTER_HOME to a folder that can be written to",
        ) from None
    environment["DAGSTER_HOME"] = str(home)
    return home


def dagster_home(environment: Mapping[str, str], folder: Path) -> Path:
    """Dagster's folder, whether it is there or not: DAGSTER_HOME, or ``.dagster`` in ``folder``.

    Raises:
        SettingsError: it begins with the home of a user who is not known.
    """
    configured = environment.get("DAGSTER_HOME", "")
    if not configured:
        return folder.absolute() / ".dagster"
    try:
        return Path(configured).expanduser().absolute()
    except RuntimeError:
        raise SettingsError("nobody knows the home folder in DAGSTER_HOME", "write the whole path") from None


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
def interface_lock(home: Path) -> Iterator[int]:
    """Holds the lock of the web interface, and yields its file: a process that inherits it holds it too.

    Raises:
        SettingsError: another process holds it, or the folder cannot be written to.
    """
    try:
        # No dataset's name begins with an underscore.
        with _locked(home / _LOCKS / "_interface.lock") as stream:
            yield stream.fileno()
    except BlockingIOError:
        raise SettingsError(
            f"Dagster is running already on {home}", "use that one, or stop it and wait until it has ended"
        ) from None


@contextmanager
def run_lock(home: Path, run_id: str) -> Iterator[None]:
    """Holds the lock of a run, by which others know that its process is alive; it goes with the process.

    Raises:
        SettingsError: the folder cannot be written to.
    """
    path = _run_lock_path(home, run_id)
    with _locked(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_run_alive(home: Path, run_id: str) -> bool:
    """Whether a process holds the lock of this run."""
    path = _run_lock_path(home, run_id)
    if not path.exists():
        return False
    try:
        with _locked(path):
            path.unlink(missing_ok=True)
            return False
    except BlockingIOError:
        return True


def _run_lock_path(home: Path, run_id: str) -> Path:
    return home / _LOCKS / "runs" / f"{run_id}.lock"


@contextmanager
def _locked(path: Path) -> Iterator[TextIO]:
    """An open file that only this process holds; raises BlockingIOError where another one does."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written ({type(error).__name__})", "check DAGSTER_HOME"
        ) from None
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield stream


def _is_without_limits(target: Path) -> bool:
    if target.read_text("utf-8") != _WITHOUT_LIMITS:
        return False
    say(f"{target} was written without pools and retries by an earlier release: it is replaced")
    return True


def _name_what_is_missing(target: Path) -> None:
    try:
        theirs = yaml.safe_load(target.read_text("utf-8"))
    except yaml.YAMLError:
        # Dagster refuses it, and whoever opens the instance says so.
        return
    ours = yaml.safe_load(_OURS.read_text("utf-8"))
    if missing := list(_missing(ours, theirs)):
        say(f"{target} says nothing of {', '.join(missing)}: take them over from {_OURS}, or delete the file")


def _missing(ours: object, theirs: object, place: str = "") -> Iterator[str]:
    """The sections of ours that are not in theirs, as ``concurrency.pools``."""
    if not isinstance(ours, dict):
        return
    for name, section in ours.items():
        here = f"{place}.{name}" if place else str(name)
        if not isinstance(theirs, dict) or name not in theirs:
            yield here
        else:
            yield from _missing(section, theirs[name], here)


def _write_configuration(target: Path) -> None:
    wanted = _OURS.read_text("utf-8")
    if target.is_file() and target.read_text("utf-8") == wanted:
        return
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    draft.write_text(wanted, "utf-8")
    draft.replace(target)


def say(line: str) -> None:
    """Says a line on standard error, as this program."""
    sys.stderr.write(f"preannotate: {line}\n")
