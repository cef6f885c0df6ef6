"""The executors of a cluster: waited for, and looked at before a run puts any work on them.

Spark waits for executors without an end and without a word; and what one of them lacks, a package, a variable
or the lake's folder, shows up as something else long after: a refused request, an object that is gone.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from preannotation_assets.errors import SettingsError
from preannotation_assets.model_servers.addresses import (
    ACCESS_VARIABLES,
    CASCADE_VARIABLE,
    KEY_VARIABLE,
    OLLAMA,
    OPENAI,
    PRIVATE_HOSTS_VARIABLE,
)
from preannotation_assets.package_code import package_code

__all__ = ["check_executors", "variables_of_tasks", "wait_for_executors"]

_LOOK_SECONDS: Final = 0.2
# Executors of one application come within a second of each other where there is room for them.
_QUIET_SECONDS: Final = 2.0
_SECRETS: Final = (KEY_VARIABLE, *ACCESS_VARIABLES)


@dataclass(frozen=True, slots=True)
class _Needs:
    """What an executor must have: the names of variables, and a folder, or None."""

    variables: Sequence[str]
    folder: str | None


# host, the package's code, the module it lacks instead, missing variables, and whether the folder is there.
_Seen = tuple[str, str, str | None, list[str], bool]


def wait_for_executors(session: SparkSession, seconds: float) -> None:
    """Waits for the first executor, and until no more come at once.

    Raises:
        SettingsError: none has come in so many seconds.
    """
    nobody = SettingsError(
        f"no executor of {session.sparkContext.master} has come in {seconds:.0f} s",
        "see there whether a worker lives, has a free core and the memory of spark.executor.memory,"
        f" and can connect to this driver at {session.sparkContext.getConf().get('spark.driver.host')}"
        " (docs/cluster.md)",
    )
    began = time.monotonic()
    known, changed = 0, began
    while not known or time.monotonic() - changed < _QUIET_SECONDS:
        try:
            count = _count_executors(session)
        except Py4JError:
            # The master has given up on executors that end as soon as they are started.
            nobody.raise_alone()
        if count != known:
            known, changed = count, time.monotonic()
        if not known and time.monotonic() - began > seconds:
            raise nobody
        time.sleep(_LOOK_SECONDS)


def check_executors(session: SparkSession, environment: Mapping[str, str], lake_root: str | None) -> None:
    """Makes sure that every executor that is there now can do what this process will ask of it.

    Only names of variables go there, no value. ``lake_root`` is a folder or the address of a bucket, None for
    what no folder is needed for.

    Raises:
        SettingsError: one cannot; the line names its host and what it lacks.
    """
    is_folder = lake_root is not None and "://" not in lake_root
    needs = _Needs(variables_of_tasks(environment), lake_root if is_folder else None)
    slots = session.sparkContext.defaultParallelism
    try:
        seen = session.sparkContext.parallelize(range(slots), slots).map(_look(needs)).collect()
    except (PySparkException, Py4JError) as error:
        _unable_to_start(str(error)).raise_alone()
    for problem in filter(None, (_problem(one, needs) for one in seen)):
        raise problem


def variables_of_tasks(environment: Mapping[str, str]) -> list[str]:
    """Which variables of this process its tasks need in their own environment.

    Secrets go only to servers that the environment of whoever sends them names: with a secret the addresses
    are needed too.
    """
    secrets = [name for name in _SECRETS if environment.get(name)]
    addresses = (*OLLAMA.variables, *OPENAI.variables, CASCADE_VARIABLE) if secrets else ()
    return [name for name in (*secrets, *addresses, PRIVATE_HOSTS_VARIABLE) if environment.get(name)]


def _look(needs: _Needs) -> Callable[[int], _Seen]:
    variables, folder = list(needs.variables), needs.folder

    # Pickled by value and with imports of its own: neither the package nor what it needs may be there.
    def look(_: int) -> "_Seen":
        import importlib  # noqa: PLC0415
        import os  # noqa: PLC0415
        import pkgutil  # noqa: PLC0415
        import platform  # noqa: PLC0415

        code, lacking = "", None
        try:
            code = importlib.import_module("preannotation_assets.package_code").package_code()
            tasks = importlib.import_module("preannotation_assets.tasks")
            for module in pkgutil.iter_modules(tasks.__path__, "preannotation_assets.tasks."):
                importlib.import_module(module.name)
        except ImportError as error:
            lacking = error.name or "a module"
        missing = [name for name in variables if not os.environ.get(name)]
        return platform.node(), code, lacking, missing, folder is None or os.path.isdir(folder)  # noqa: PTH112

    return look


def _problem(seen: _Seen, needs: _Needs) -> SettingsError | None:
    host, code, lacking, missing, has_folder = seen
    if code and code != package_code():
        return SettingsError(
            f"the executor on {host} has another version of this package than the driver",
            "install the same one on all machines (docs/cluster.md)",
        )
    if lacking:
        return SettingsError(
            f"the Python of the executor on {host} has no {lacking}",
            "install this package and the locked packages there, and name that Python in PYSPARK_PYTHON"
            " (docs/cluster.md)",
        )
    if missing:
        return SettingsError(
            f"the executor on {host} lacks {', '.join(missing)}",
            "set it in the environment of Spark's worker there: it is not sent (docs/cluster.md)",
        )
    if not has_folder:
        return SettingsError(
            f"the executor on {host} has no folder {needs.folder}",
            "let PREANNOTATION_ROOT be a bucket, or a file system that all machines share (docs/cluster.md)",
        )
    return None


def _unable_to_start(said: str) -> SettingsError:
    """What is told when no Python began there; what Spark said may hold settings and stays behind."""
    if "PYTHON_VERSION_MISMATCH" in said:
        return SettingsError(
            "the executors have another minor version of Python than the driver",
            "name the same one in PYSPARK_PYTHON, by a path that all machines have (docs/cluster.md)",
        )
    return SettingsError(
        "no Python task runs on the executors",
        "see that PYSPARK_PYTHON names a Python with the locked packages on all machines, and that the"
        " executors can connect to the driver's ports (docs/cluster.md)",
    )


def _count_executors(session: SparkSession) -> int:
    """The executors that have registered; the driver itself is in Spark's list too."""
    java_context = session.sparkContext._jsc.sc()
    return int(java_context.getExecutorMemoryStatus().size()) - 1
