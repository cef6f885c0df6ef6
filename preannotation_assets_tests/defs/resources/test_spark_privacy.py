"""Who may talk to Spark, and what it tells: loopback, a secret that nobody sees, no pages of its own."""

import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from preannotation_assets.defs.resources.spark import SparkResource, run_tasks

LINUX = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's list of sockets")
LISTENING = "0A"
RPC_REQUEST = 3


def double(number: int) -> int:
    return 2 * number


def listening_addresses(pid: int) -> list[str]:
    """The addresses that a process listens on, as ``/proc/net/tcp`` and its neighbour write them."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(str(descriptor.readlink()))
        except FileNotFoundError:
            continue
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == LISTENING and f"socket:[{inode}]" in sockets:
                found.append(address(local.partition(":")[0]))
    return found


def address(hexadecimal: str) -> str:
    """Linux writes words of four bytes, each in the order of the machine."""
    words = [hexadecimal[place : place + 8] for place in range(0, len(hexadecimal), 8)]
    packed = b"".join(struct.pack("=I", int(word, 16)) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def java_of(spark: SparkSession) -> int:
    return int(spark.sparkContext._gateway.proc.pid)  # type: ignore[union-attr]


@LINUX
def test_the_driver_and_its_jvm_listen_on_loopback_only(spark: SparkSession) -> None:
    assert run_tasks(spark, [1, 2], double) == [2, 4]
    of_java = listening_addresses(java_of(spark))
    assert len(of_java) >= 3, "RPC, block manager and py4j"
    assert {*of_java, *listening_addresses(os.getpid())} <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


@LINUX
def test_an_address_is_read_as_linux_writes_it() -> None:
    with socket.create_server(("0.0.0.0", 0)), socket.create_server(("127.0.0.2", 0)):
        assert {"0.0.0.0", "127.0.0.2"} <= set(listening_addresses(os.getpid()))


def answer_to_a_stranger(port: int) -> bytes:
    """What the driver's RPC port says to a request of somebody who has not shown the secret."""
    body = bytes(20)
    frame = struct.pack(">qbqi", 8 + 1 + 8 + 4 + len(body), RPC_REQUEST, 7, len(body)) + body
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.settimeout(30)
        connection.sendall(frame)
        return connection.recv(65_536)


def test_a_stranger_s_bytes_are_not_deserialized(spark: SparkSession) -> None:
    answer = answer_to_a_stranger(int(spark.sparkContext.getConf().get("spark.driver.port") or 0))
    assert b"ObjectInputStream" not in answer
    assert b"SaslRpcHandler" in answer


@LINUX
def test_the_secret_is_in_no_configuration_and_on_no_command_line(spark: SparkSession) -> None:
    conf = dict(spark.sparkContext.getConf().getAll())
    assert conf["spark.authenticate"] == "true"
    assert [name for name in conf if "secret" in name.lower()] == []
    command = Path(f"/proc/{java_of(spark)}/cmdline").read_text()
    assert "spark.authenticate=true" in command
    assert "secret" not in command.lower()


def test_a_cluster_s_secret_is_its_operator_s_business() -> None:
    assert "spark.authenticate" not in SparkResource(master="spark://host:7077").settings()
    assert SparkResource(master="local[3]").settings()["spark.authenticate"] == "true"


# In a process of its own, whose JVM is ended by a signal as a service manager sends it to all.
ENDED = """
import json, os, signal, sys, time
from preannotation_assets.defs.resources.spark import SparkResource, run_tasks

session = SparkResource(master="local[1]", driver_memory="512m").spark_session
context = session.sparkContext
def double(number): return 2 * number
assert run_tasks(session, [1], double) == [2]
conf = dict(context.getConf().getAll())
print(json.dumps([conf["spark.ui.enabled"], conf["spark.eventLog.enabled"], context.uiWebUrl]), flush=True)
try:
    raise ValueError("a token that is not right")
except ValueError:
    context._accumulatorServer.handle_error(None, ("127.0.0.1", 1))
java = context._gateway.proc
os.kill(java.pid, signal.SIGTERM)
java.wait(60)
# The thread looks once a second: what it says of the end is said when this is through.
for _ in range(30):
    time.sleep(0.1)
os._exit(0)
"""


def test_no_file_turns_ui_or_event_log_on_and_the_end_of_the_jvm_is_no_traceback(tmp_path: Path) -> None:
    events = tmp_path / "events"
    events.mkdir()
    (tmp_path / "spark-defaults.conf").write_text(
        f"spark.ui.enabled true\nspark.eventLog.enabled true\nspark.eventLog.dir {events}\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", ENDED],
        env={**os.environ, "SPARK_CONF_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ended.stdout.splitlines()[-1] == '["false", "false", null]'
    assert list(events.iterdir()) == []
    # The heading of each exception that the thread tells.
    assert ended.stderr.count("Exception occurred during processing of request") == 1
    assert "ValueError: a token that is not right" in ended.stderr
