"""The Spark session of all tests, and what kind of test each one is.

Every test pays for what is imported here.
"""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from shared import spark_archive

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_HERE = Path(__file__).parent

# A test that needs one of these fixtures, or has one of these words as a parameter.
_MARKER_OF_FIXTURE = {
    "spark": "spark",
    "interface": "browser",
    "browser": "browser",
    "radosgw_address": "ceph",
    "moto_address": "server",
    "simulator": "server",
    "stand_in": "server",
    "scripted": "server",
    "start": "server",
}
_MARKER_OF_PARAMETER = {"radosgw": "ceph", "s3": "server"}
# All others, by the nearest folder or file. What a test says itself comes first.
_MARKER_OF_PLACE = {
    "answer_store": "unit",
    "argilla": "argilla",
    "argilla/test_argilla_page.py": "argilla_page",
    "asking": "unit",
    "canary": "unit",
    "canary/test_canary.py": "spark",
    "cli": "unit",
    "learning": "server",
    "learning/test_what_is_learned.py": "unit",
    "comparing": "unit",
    "comparing/test_answering.py": "server",
    "comparing/test_compare_command.py": "server",
    "defs": "unit",
    "defs/resources/test_executors.py": "spark",
    "defs/resources/test_spark.py": "spark",
    "defs/resources/test_spark_privacy.py": "spark",
    "demo": "unit",
    "deployment": "unit",
    "deployment/test_deployment.py": "deploy",
    "demo/test_services.py": "server",
    "end_to_end": "spark",
    "evaluation": "unit",
    "evolution": "unit",
    "evolution/test_frozen_lake.py": "spark",
    "evolution/test_new_columns.py": "spark",
    "extraction": "unit",
    "fuzzing": "unit",
    "interface": "browser",
    "lake": "unit",
    "model_servers": "unit",
    "publishing": "unit",
    "real_model": "model",
    "runbook": "unit",
    "settings": "unit",
    "simulator": "unit",
    "simulator/test_simulator_command.py": "server",
    "storage_faults": "server",
    "tasks": "unit",
    "tasks/test_ask_model.py": "server",
    "watching": "unit",
    "telemetry": "unit",
    "telemetry/test_metrics.py": "server",
    "throttling": "unit",
    "trying": "unit",
    "trying/test_try_command.py": "server",
    "web_server": "unit",
    ".": "unit",
    "test_definitions.py": "server",
    "test_deploy.py": "server",
    "test_recovery.py": "server",
}
_KINDS = {*_MARKER_OF_FIXTURE.values(), *_MARKER_OF_PARAMETER.values(), *_MARKER_OF_PLACE.values()}


def pytest_configure() -> None:
    # A shell that starts the tests in the background has them ignore SIGINT, which some tests send.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # How long an example takes says how busy the machine is; every test has a time limit of its own.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")
    # For every JVM that a test starts, but for those of whoever takes it away.
    os.environ.setdefault(spark_archive.VARIABLE, spark_archive.options_of_archive())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test with what it needs: unit for nothing but itself."""
    for item in items:
        if not _KINDS & {mark.name for mark in item.iter_markers()}:
            for marker in _markers(item):
                item.add_marker(marker)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadgroup``: who shares a costly fixture shares a process."""
    if config.getoption("dist") != "loadgroup":
        return None
    from shared.together import PlaceScheduling

    return PlaceScheduling(config, log)


def _markers(item: pytest.Item) -> set[str]:
    fixtures = getattr(item, "fixturenames", [])
    call = getattr(item, "callspec", None)
    parameters = [value for value in call.params.values() if isinstance(value, str)] if call else []
    needed = {_MARKER_OF_FIXTURE[name] for name in fixtures if name in _MARKER_OF_FIXTURE}
    needed |= {_MARKER_OF_PARAMETER[name] for name in parameters if name in _MARKER_OF_PARAMETER}
    if needed:
        return needed
    place = item.path.relative_to(_HERE)
    for candidate in (place, *place.parents):
        if str(candidate) in _MARKER_OF_PLACE and (str(candidate) != "." or len(place.parts) == 1):
            return {_MARKER_OF_PLACE[str(candidate)]}
    raise pytest.UsageError(f"{place}: say in {__file__} what kind of tests these are")


@pytest.fixture(autouse=True)
def no_storage_of_an_ended_instance() -> Iterator[None]:
    """Dagster remembers the storage of an instance that was opened before, at times one that has ended.

    Whatever resolves definitions outside of an instance asks it then, and fails.
    """
    defs_state = sys.modules.get("dagster._core.storage.defs_state.base")
    if defs_state is None:
        yield
        return
    with defs_state.set_defs_state_storage(None):
        yield


@pytest.fixture(scope="session")
def spark() -> Iterator["SparkSession"]:
    """The one Spark session of all tests, with two task slots (starting one takes 6 to 8 seconds).

    Resources that are used meanwhile share it and leave it running. Its workers may speak to the S3 servers
    of the tests.
    """
    from s3_servers.rados_gateway import TEST_ENVIRONMENT

    from preannotation_assets.defs.resources.spark import SparkResource

    # Python workers unpickle functions of test modules, which only pytest has on its path.
    search_path = os.pathsep.join(filter(None, sys.path))
    resource = SparkResource(
        master="local[2]", driver_memory="1g", spark_config={"spark.executorEnv.PYTHONPATH": search_path}
    )
    with pytest.MonkeyPatch.context() as patch:
        # The workers keep the environment in which the JVM is started.
        for name, value in TEST_ENVIRONMENT.items():
            patch.setenv(name, value)
        session = resource.spark_session
    yield session
    session.stop()
