"""Tests that share a costly fixture run in one process, so that it is built once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from shared import together

TESTS = Path(__file__).parent
CONFTEST = """
from shared.together import PlaceScheduling


def pytest_xdist_make_scheduler(config, log):
    return PlaceScheduling(config, log)
"""
# Two: a process that has three before it is given no other from the start.
SEEN = """
import os
from pathlib import Path

import pytest


@pytest.mark.parametrize("number", range(2))
def test_who_runs_it(number):
    seen = Path(os.environ["SEEN"]) / f"{Path(__file__).parent.name}-{number}"
    seen.write_text(os.environ["PYTEST_XDIST_WORKER"])
"""


@pytest.mark.parametrize("place", together.TOGETHER)
def test_the_places_are_there(place: str) -> None:
    assert (TESTS.parent / place).exists()


@pytest.mark.server
def test_tests_of_a_place_run_in_one_process_and_others_in_any(tmp_path: Path) -> None:
    (tmp_path / "seen").mkdir()
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for folder in ("argilla", "other"):
        (tmp_path / TESTS.name / folder).mkdir(parents=True)
        (tmp_path / TESTS.name / folder / f"test_{folder}.py").write_text(SEEN)
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-n", "2", "--dist", "loadgroup"]
    environment = {
        "PYTHONPATH": str(TESTS),
        "SEEN": str(tmp_path / "seen"),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    done = subprocess.run(
        [*command, "--rootdir", tmp_path],
        env=os.environ | environment,
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout

    def processes(folder: str) -> set[str]:
        return {file.read_text() for file in (tmp_path / "seen").glob(f"{folder}-*")}

    assert len(processes("argilla")) == 1
    assert len(processes("other")) == 2
