"""The services of deploy/compose.yaml as processes of this machine, from the image's own entry points.

Every service is a session of its own, so that its end is the end of all it has started, as a container's is.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from shared.polling import wait_for
from shared.process_table import processes_of

from deployment.compose_file import ROOT, command, environment, services

__all__ = ["PYTHON", "Deployment", "free_port", "postgres", "postgres_program"]

PYTHON: Final = ROOT / ".venv-deploy" / "bin" / "python"
"""Of the environment that has what the image has (`make set-up-deploy`)."""

_START_SECONDS: Final = 300.0
_END_SECONDS: Final = 60.0
_ADMINISTRATOR: Final = "postgres"


class Deployment:
    """Processes that can be killed and started again, one by one."""

    def __init__(self, folder: Path, variables: Mapping[str, str], ports: Mapping[str, str]) -> None:
        """``variables`` are those of `docker compose`; ``ports`` says where its host:port is here."""
        self.folder = folder
        self._variables = variables
        self._ports = ports
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: list[IO[bytes]] = []

    def start(self, name: str) -> None:
        """Starts a service."""
        log = (self.folder / f"{name}.log").open("ab")
        self._logs.append(log)
        what, *options = command(services()[name], self._variables)
        self._running[name] = subprocess.Popen(
            ["deploy/entrypoint.sh", what, *map(self._here, options)],
            cwd=ROOT,
            env=self._environment(name),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_until_healthy(self, name: str) -> None:
        """By the service's own health check."""
        wait_for(lambda: self._is_healthy(name), f"health of {name}", _START_SECONDS)

    def wait_for_end(self, name: str) -> int:
        """The exit status of a service that does one thing and ends."""
        return self._running[name].wait(_START_SECONDS)

    def kill(self, name: str) -> None:
        """Ends all processes of a service with kill -9, as the death of its container would."""
        process = self._running.pop(name)
        while alive := processes_of(process.pid):
            for each in alive:
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        """Ends all services as `docker compose down` does: politely first."""
        for process in self._running.values():
            process.terminate()
        try:
            for name, process in self._running.items():
                wait_for(lambda p=process: not processes_of(p.pid), f"the end of {name}", _END_SECONDS)  # type: ignore[misc]
        finally:
            for name in list(self._running):
                self.kill(name)
            for log in self._logs:
                log.close()

    def said(self, name: str) -> str:
        """What a service has printed."""
        return (self.folder / f"{name}.log").read_text("utf-8", "replace")

    def _is_healthy(self, name: str) -> bool:
        process = self._running[name]
        assert process.poll() is None, self.said(name)[-4000:]
        _, *words = services()[name]["healthcheck"]["test"]
        asked = subprocess.run(
            words, cwd=ROOT, env=self._environment(name), capture_output=True, timeout=120, check=False
        )
        return asked.returncode == 0

    def _environment(self, name: str) -> dict[str, str]:
        own = {
            key: self._here(value) for key, value in environment(services()[name], self._variables).items()
        }
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("PREANNOTATION_", "AWS_"))
        }
        return kept | own | self._of_this_machine() | {"PATH": f"{PYTHON.parent}:{os.environ['PATH']}"}

    def _of_this_machine(self) -> dict[str, str]:
        """What a container has for itself."""
        return {
            "DAGSTER_HOME": str(self.folder / "home"),
            "PYTHONPATH": str(ROOT),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_HOSTNAME": "127.0.0.1",
            "TMPDIR": str(self.folder),
            "PORT": self._ports["127.0.0.1:3000"].rpartition(":")[2],
            "SPARK_MASTER_WEBUI_PORT": self._ports["127.0.0.1:8080"].rpartition(":")[2],
            "SPARK_WORKER_WEBUI_PORT": self._ports["127.0.0.1:8081"].rpartition(":")[2],
            "DAGSTER_PG_HOST": "127.0.0.1",
            "DAGSTER_PG_PORT": self._ports["postgres:5432"].rpartition(":")[2],
        }

    def _here(self, text: str) -> str:
        for there, here in self._ports.items():
            text = text.replace(there, here)
        return text


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def postgres_program(name: str) -> Path | None:
    """A program of Debian's newest PostgreSQL, or one on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return found[-1] if found else Path(path) if (path := shutil.which(name)) else None


@contextmanager
def postgres(password: str) -> Iterator[int]:
    """A database server with the database `dagster`, in a folder of its own; its port."""
    server = postgres_program("postgres")
    # It refuses to be run by root.
    user = _ADMINISTRATOR if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="preannotation-postgres-") as name:
        folder = Path(name)
        (folder / "password").write_text(password)
        if user:
            shutil.chown(folder, user)
            shutil.chown(folder / "password", user)
        _make_cluster(folder, user)
        port = free_port()
        options = (f"listen_addresses=127.0.0.1 port={port} unix_socket_directories=").split(" ")
        words = [server, "-D", folder / "data", *(word for each in options for word in ("-c", each))]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(words, user=user, cwd=folder, stdout=log, stderr=log) as process,
        ):
            try:
                wait_for(lambda: _creates_database(port, password), "PostgreSQL", 60)
                yield port
            finally:
                # At once, without waiting for clients to leave.
                process.send_signal(signal.SIGINT)
                process.wait(_END_SECONDS)


def _make_cluster(folder: Path, user: str | None) -> None:
    words = [postgres_program("initdb"), "--pgdata", folder / "data", "--username", "dagster",
             "--auth", "scram-sha-256", "--pwfile", folder / "password"]  # fmt: skip
    subprocess.run(words, user=user, cwd=folder, check=True, capture_output=True, timeout=120)


def _creates_database(port: int, password: str) -> bool:
    words = [postgres_program("psql"), "--host", "127.0.0.1", "--port", str(port), "--username", "dagster",
             "--command", "CREATE DATABASE dagster", "postgres"]  # fmt: skip
    environment = os.environ | {"PGPASSWORD": password}
    return subprocess.run(words, env=environment, capture_output=True, check=False).returncode == 0
