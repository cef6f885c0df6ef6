"""``preannotate demo`` and ``preannotate dev``: the product on a machine that has nothing else."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from preannotation_assets.dagster_instance import open_instance
from preannotation_assets.demo.sample import write_sample_database
from preannotation_assets.demo.services import run_dagster
from preannotation_assets.errors import SettingsError
from preannotation_assets.instance import interface_lock
from preannotation_assets.recovery import prepare_instance
from preannotation_assets.settings import ServerKind, Settings
from preannotation_assets.settings.model_access import most_in_flight
from preannotation_assets.simulator import RunningSimulator, SimulatedModel, SimulatorSettings
from preannotation_assets.temporary_folders import temporary_folder

__all__ = ["run_dev", "sample_batch"]

# A stand-in that is 40 times faster than its time model: 25 answer tokens a second would be real.
_SPEED: Final = 40.0
_HOST: Final = "127.0.0.1"


@contextmanager
def sample_batch(settings: Settings) -> Iterator[Settings]:
    """Writes the sample batch, and lends settings to run it: with a stand-in model if none is configured."""
    with _with_model(settings) as complete:
        database = complete.warehouse.database
        _say(f"sample batch of {write_sample_database(Path(database))} pages: {database}")
        yield complete


def run_dev(settings: Settings, home: Path, port: int) -> int:
    """Starts Dagster's web server and daemon until interrupted, with the same defaults as the demo.

    ``home`` is Dagster's folder. Port 0 takes a free one. Runs that were killed together with an earlier
    web interface are marked as failed first, or they would hold the queue for ever.

    Raises:
        SettingsError: the port is in use, or Dagster runs on ``home`` already, or cannot be opened there.
        StorageError: there is no room for temporary files.
    """
    free_port = _free_port(port)
    with (
        interface_lock(home) as lock,
        _with_model(settings) as complete,
        temporary_folder() as folder,
    ):
        if (
            not complete.warehouse.database.startswith("md:")
            and not Path(complete.warehouse.database).exists()
        ):
            write_sample_database(Path(complete.warehouse.database))
        with open_instance(home) as instance:
            prepare_instance(instance)
        environment = os.environ | {
            "PREANNOTATION_SERVER": complete.server_choice.server,
            "PREANNOTATION_OLLAMA_ENDPOINTS": ",".join(complete.ollama.endpoints),
        }
        _say(f"Dagster will be on http://{_HOST}:{free_port}; stop it with Ctrl-C")
        return run_dagster(folder, lock, free_port, environment)


def _free_port(port: int) -> int:
    """Found out before anything starts: Dagster tells a taken port in a stack trace, after 15 s."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
        except (OSError, OverflowError):
            raise SettingsError(f"port {port} cannot be listened on", "choose another with --port") from None
        return int(listener.getsockname()[1])


@contextmanager
def _with_model(settings: Settings) -> Iterator[Settings]:
    """The settings, completed with a stand-in's address where no endpoint is configured."""
    if settings.model_servers.endpoints:
        yield settings
        return
    simulator = SimulatorSettings(
        models=(SimulatedModel(settings.generation.model),),
        slots=most_in_flight(settings.ollama, settings.asking),
        speed=_SPEED,
    )
    with RunningSimulator(simulator) as running:
        _say(f"no model server is configured; {running.url} stands in: its rules' answers prove nothing")
        yield settings.with_servers(ServerKind.ollama, running.url)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
