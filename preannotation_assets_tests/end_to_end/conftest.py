"""What the end-to-end tests share: a stand-in model and the command line."""

from collections.abc import Callable, Iterator

import pytest
from pyspark.sql import SparkSession
from s3_servers.fixtures import bucket, client, moto_address, proxy
from shared.signal_handlers import kept_signal_handlers

from end_to_end.user_place import Place
from preannotation_assets import cli
from preannotation_assets.simulator import RunningSimulator, SimulatorSettings

__all__ = ["bucket", "client", "moto_address", "preannotate", "proxy", "simulator"]


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with RunningSimulator(SimulatorSettings(slots=4)) as running:
        yield running


@pytest.fixture
def preannotate(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], spark: SparkSession
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """The command line in this process, with the Spark session of all tests."""

    def run(place: Place, *arguments: str, **environment: str) -> tuple[int, str, str]:
        monkeypatch.chdir(place.folder)
        for name, value in {**place.environment, **environment}.items():
            monkeypatch.setenv(name, value)
        capfd.readouterr()
        status = cli.main(list(arguments))
        return status, *capfd.readouterr()

    with kept_signal_handlers():
        yield run
