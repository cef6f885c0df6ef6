"""What executors must have, told in one line before a run puts any work on them."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark import cloudpickle
from pyspark.sql import SparkSession

from preannotation_assets.defs.resources import executors
from preannotation_assets.defs.resources.executors import (
    check_executors,
    variables_of_tasks,
    wait_for_executors,
)
from preannotation_assets.errors import SettingsError

SECRET = "HIDDENkey"
RUN_PICKLED = """
import pickle, sys
sys.stdout.buffer.write(pickle.dumps(pickle.load(sys.stdin.buffer)(0)))
"""


def test_executors_of_this_very_machine_have_what_they_need(spark: SparkSession, tmp_path: Path) -> None:
    check_executors(spark, {}, str(tmp_path))
    check_executors(spark, {}, "s3://bucket/prefix")
    check_executors(spark, {}, None)


def test_a_variable_that_an_executor_lacks_is_named_and_its_value_is_not(spark: SparkSession) -> None:
    with pytest.raises(SettingsError, match="lacks CF_ACCESS_CLIENT_SECRET: set it") as raised:
        check_executors(spark, {"CF_ACCESS_CLIENT_SECRET": SECRET}, None)
    assert SECRET not in str(raised.value)


def test_a_folder_that_an_executor_lacks_is_named(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"has no folder {tmp_path}/lake: let PREANNOTATION_ROOT"):
        check_executors(spark, {}, f"{tmp_path}/lake")


@pytest.mark.unit
def test_a_package_that_an_executor_lacks_is_named(tmp_path: Path) -> None:
    """As on a Python that has this package and not what it needs."""
    spoilt = "raise ModuleNotFoundError('No module named pyarrow', name='pyarrow')"
    (tmp_path / "preannotation_assets").mkdir()
    for module in ("__init__.py", "package_code.py"):
        (tmp_path / "preannotation_assets" / module).write_text("def package_code(): return ''\n")
    (tmp_path / "preannotation_assets" / "tasks.py").write_text(spoilt)
    look = executors._look(executors._Needs([], None))
    done = subprocess.run(
        [sys.executable, "-c", RUN_PICKLED],
        input=cloudpickle.dumps(look),
        env={"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=True,
    )
    seen = pickle.loads(done.stdout)
    assert seen[1:] == ("", "pyarrow", [], True)
    problem = executors._problem(seen, executors._Needs([], None))
    assert str(problem).startswith(f"the Python of the executor on {seen[0]} has no pyarrow: install this")


def test_another_release_on_an_executor_is_told(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "package_code", lambda: "of another release")
    with pytest.raises(SettingsError, match="has another version of this package than the driver"):
        check_executors(spark, {}, None)


def test_where_no_executor_comes_the_run_does_not_wait_for_ever(spark: SparkSession) -> None:
    # In local mode there is none but the driver.
    with pytest.raises(SettingsError, match=r"no executor of local\[2,4\] has come in 0 s: see there"):
        wait_for_executors(spark, 0.3)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("environment", "needed"),
    [
        ({"OLLAMA_HOST": "dgx", "PATH": "/bin"}, []),
        ({"PREANNOTATION_PRIVATE_HOSTS": "dgx"}, ["PREANNOTATION_PRIVATE_HOSTS"]),
        (
            {"PREANNOTATION_SERVER_API_KEY": SECRET, "PREANNOTATION_SERVER_URLS": "http://dgx:8000"},
            ["PREANNOTATION_SERVER_API_KEY", "PREANNOTATION_SERVER_URLS"],
        ),
        ({"PREANNOTATION_SERVER_API_KEY": "", "PREANNOTATION_SERVER_URLS": "http://dgx:8000"}, []),
    ],
)
def test_tasks_read_secrets_and_with_them_the_addresses_they_may_go_to(
    environment: dict[str, str], needed: list[str]
) -> None:
    assert variables_of_tasks(environment) == needed
