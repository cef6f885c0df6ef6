"""Ceph's S3 server (radosgw) alone on loopback: one monitor, one object daemon, one gateway, no services.

Needs Debian's packages radosgw, ceph-mon, ceph-osd and ceph-common (16.2 in bookworm). Everything lies in
one folder, every port is free when it is chosen, every process is ended by its id.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from uuid import uuid4

__all__ = ["ACCESS_KEY", "SECRET_KEY", "TEST_ENVIRONMENT", "GatewayError", "RadosGateway", "running_gateway"]

ACCESS_KEY = "testing"
SECRET_KEY = "not-a-secret-of-anybody"
TEST_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""For a process that speaks to a server of the tests."""

_PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
_START_SECONDS = 60.0

# Paxos proposes once a second by default, and a new gateway makes some 15 proposals; the gateway insists on
# encryption to the monitor unless told otherwise, which needs keys.
_CONFIGURATION = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{monitor_port}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms mon client mode = crc
auth cluster required = none
auth service required = none
auth client required = none
keyring =
run dir = {folder}
admin socket =
pid file =
log file = {folder}/$name.log
mon cluster log file = {folder}/cluster.log
crash dir = {folder}
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
[mon]
mon data = {folder}/mon
mon data avail crit = 1
mon data avail warn = 1
paxos propose interval = 0.02
paxos min wait = 0.01
[osd]
osd data = {folder}/osd
osd objectstore = {object_store}
memstore device bytes = 4294967296
bluestore block size = 2147483648
[client]
rgw frontends = beast endpoint=127.0.0.1:{gateway_port} tcp_nodelay=1
rgw thread pool size = 64
rgw dynamic resharding = false
"""


class GatewayError(Exception):
    """The gateway cannot run here; says why."""


class RadosGateway:
    """A cluster of three processes. ``object_store`` is memstore (quick) or bluestore (survives kill -9)."""

    def __init__(self, folder: Path, object_store: str) -> None:
        missing = [program for program in _PROGRAMS if shutil.which(program) is None]
        if missing:
            raise GatewayError(f"{', '.join(missing)} not installed: radosgw ceph-mon ceph-osd ceph-common")
        self._folder = folder
        self._fsid = str(uuid4())
        self._monitor_port, self._gateway_port = _free_ports(2)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._deadline = time.monotonic() + _START_SECONDS
        text = _CONFIGURATION.format(
            fsid=self._fsid, folder=folder, object_store=object_store,
            monitor_port=self._monitor_port, gateway_port=self._gateway_port,
        )  # fmt: skip
        (folder / "ceph.conf").write_text(text)

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self._gateway_port

    def create(self) -> Self:
        """Make the cluster and its one user, and start it.

        Raises:
            GatewayError: a program fails, or it takes longer than a minute.
        """
        monitor_map, osd = str(self._folder / "monmap"), str(uuid4())
        for name in ("mon", "osd"):
            (self._folder / name).mkdir()
        monitor = ("--addv", "a", f"[v2:127.0.0.1:{self._monitor_port}]")
        self._run("monmaptool", "--create", "--fsid", self._fsid, *monitor, monitor_map)
        self._run("ceph-mon", *self._conf, "--mkfs", "-i", "a", "--monmap", monitor_map)
        self._spawn("ceph-mon", "-i", "a")
        self._run("ceph", *self._conf, "osd", "new", osd)
        self._run("ceph-osd", *self._conf, "-i", "0", "--mkfs", "--osd-uuid", osd, "--no-mon-config")
        self._start_rest()
        self._run(
            "radosgw-admin", *self._conf, "-n", "client.rgw", "user", "create", "--uid=tests",
            "--display-name=tests", f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}",
        )  # fmt: skip
        return self

    def create_limited_user(self, name: str, secret: str) -> None:
        """Make a user whose access key is the name, and who may do nothing until the first user allows it.

        Raises:
            GatewayError: a program fails, or it takes longer than a minute.
        """
        self._deadline = time.monotonic() + _START_SECONDS
        admin = ("radosgw-admin", *self._conf, "-n", "client.rgw")
        self._run(*admin, "caps", "add", "--uid=tests", "--caps=user-policy=*")
        self._run(
            *admin, "user", "create", f"--uid={name}", f"--display-name={name}",
            f"--access-key={name}", f"--secret-key={secret}",
        )  # fmt: skip

    def start_again(self) -> None:
        """Start a cluster that was killed.

        Raises:
            GatewayError: it takes longer than a minute.
        """
        self._deadline = time.monotonic() + _START_SECONDS
        self._spawn("ceph-mon", "-i", "a")
        self._start_rest()

    def kill(self) -> None:
        """End all three processes at once, as a power failure would."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait(10)
        self._processes.clear()

    @property
    def _conf(self) -> tuple[str, str]:
        return "-c", str(self._folder / "ceph.conf")

    def _start_rest(self) -> None:
        self._spawn("ceph-osd", "-i", "0")
        gateway = self._spawn("radosgw", "-n", "client.rgw")
        while not _is_listening(self.address):
            if gateway.poll() is not None:
                raise GatewayError(f"radosgw ended with {gateway.returncode}")
            if time.monotonic() > self._deadline:
                raise GatewayError(f"radosgw did not start within {_START_SECONDS:.0f} seconds")
            time.sleep(0.05)

    def _run(self, *command: str) -> None:
        try:
            subprocess.run(
                command,
                check=True,
                capture_output=True,
                cwd=self._folder,
                timeout=max(0.1, self._deadline - time.monotonic()),
            )
        except subprocess.TimeoutExpired:
            raise GatewayError(f"{command[0]} did not end within {_START_SECONDS:.0f} seconds") from None
        except subprocess.CalledProcessError as error:
            last = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise GatewayError(f"{command[0]} failed with {error.returncode}: {last}") from error

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{program}.out").open("ab") as output:
            process = subprocess.Popen(
                [program, *self._conf, *arguments, "-f"],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
            )
        self._processes.append(process)
        return process


@contextmanager
def running_gateway(folder: Path, object_store: str) -> Iterator[RadosGateway]:
    """Run a new gateway in the folder for the time of a block.

    Raises:
        GatewayError: it cannot run here, or not within a minute.
    """
    gateway = RadosGateway(folder, object_store)
    try:
        yield gateway.create()
    finally:
        gateway.kill()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _is_listening(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, 1).close()
    except OSError:
        return False
    return True
