"""A driver with few files, and strangers who open connections as fast as they can: the run goes on."""

import subprocess
import sys
from pathlib import Path

# Needs a process of its own: a lowered limit of files stays with whoever has it.
DRIVER = """
import resource, sys, time
from pathlib import Path
from preannotation_assets.throttling.dispatcher import Limits
from preannotation_assets.throttling.permit_server import PermitServer

files, permits, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
with PermitServer(["http://a"], Limits(max_in_flight=4), semaphore_folder=folder) as server:
    print(server.address.port, server.address.secret, flush=True)
    sys.stdin.readline()
    while server.progress().answered < permits:
        time.sleep(0.01)
    print(server.progress().answered)
"""
# Has files of its own, as the tasks of a run have.
TASK = """
import asyncio, sys
from preannotation_assets.contracts import AttemptOutcome
from preannotation_assets.throttling.permit_client import PermitClient
from preannotation_assets.throttling.permit_messages import PermitAddress, PermitReport

address = PermitAddress("127.0.0.1", int(sys.argv[1]), sys.argv[2])
permits = int(sys.argv[3])
REPORT = PermitReport(AttemptOutcome.ANSWERED, available=True)

async def ask(times):
    for _ in range(times):
        async with PermitClient(address) as line:
            permit = await line.acquire()
            line.release(permit)
            line.report(permit, REPORT)

async def main():
    await asyncio.gather(*(ask(permits // 4) for _ in range(4)))

asyncio.run(main())
"""
# Holds what it can, and opens again what it is sent away from.
FLOOD = """
import itertools, socket, sys
port, most = int(sys.argv[1]), 400
held = []
for number in itertools.count():
    try:
        held.append(socket.create_connection(("127.0.0.1", port), 5))
    except OSError:
        if not held:
            break
    if number == most:
        print("full", flush=True)
    if len(held) >= most:
        held.pop(0).close()
"""


def run_beside_a_flood(folder: Path, files: int, permits: int) -> tuple[str, str]:
    """What a driver with that many files prints and logs while strangers are at its door."""
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(files), str(permits), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout
    port, secret = driver.stdout.readline().split()
    flood = subprocess.Popen([sys.executable, "-c", FLOOD, port], stdout=subprocess.PIPE, text=True)
    try:
        assert flood.stdout
        assert flood.stdout.readline() == "full\n"
        task = [sys.executable, "-c", TASK, port, secret, str(permits)]
        subprocess.run(task, timeout=150, check=True)
        printed, logged = driver.communicate("go\n", timeout=30)
    finally:
        for process in (flood, driver):
            process.kill()
            process.communicate()
    return printed, logged


def test_a_flood_of_strangers_leaves_the_run_its_files(tmp_path: Path) -> None:
    printed, logged = run_beside_a_flood(tmp_path, files=256, permits=100)
    assert printed == "100\n", logged
    assert logged == ""


def test_without_any_file_left_the_run_goes_on_and_says_so_once(tmp_path: Path) -> None:
    # Fewer than strangers alone may take. It waits for its turn at the door with every permit.
    printed, logged = run_beside_a_flood(tmp_path, files=48, permits=24)
    assert printed == "24\n", logged
    assert logged.count("\n") <= 1
    assert "Traceback" not in logged
