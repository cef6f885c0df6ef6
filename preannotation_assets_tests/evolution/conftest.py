"""What the tests of stored data share: copies of frozen lakes, and the command line over them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from evolution.frozen_lake import FrozenLake, RunningSimulator, cli, frozen_lakes, stand_in
from pyspark.sql import SparkSession
from shared.signal_handlers import kept_signal_handlers


@pytest.fixture(params=frozen_lakes(), ids=lambda lake: lake.folder.name)
def lake(request: pytest.FixtureRequest) -> FrozenLake:
    """A frozen lake, which nobody may write to."""
    found: FrozenLake = request.param
    return found


@pytest.fixture
def copied(lake: FrozenLake, tmp_path: Path) -> FrozenLake:
    """A copy with a database, which may be changed."""
    return lake.copy(tmp_path / "user")


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    with stand_in() as running:
        yield running


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, spark: SparkSession, simulator: RunningSimulator
) -> Iterator[Callable[..., int]]:
    """``preannotate run`` in this process over a copy; the exit status."""

    def command(copied: FrozenLake, *arguments: str) -> int:
        monkeypatch.chdir(copied.folder)
        for name, value in copied.environment(simulator.url).items():
            monkeypatch.setenv(name, value)
        return cli.main(["run", copied.frozen.dataset, *arguments])

    with kept_signal_handlers():
        yield command
