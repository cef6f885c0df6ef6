"""The limit of open files, in a process of its own: no other may keep a lowered hard limit."""

import subprocess
import sys
from pathlib import Path

# Takes the slots and connections of a driver, and no other is free for them.
PROGRAM = """
import asyncio, resource, sys
from pathlib import Path
from preannotation_assets.throttling.dispatcher import Limits
from preannotation_assets.throttling.open_files import allow_open_files
from preannotation_assets.throttling.permit_client import PermitClient
from preannotation_assets.throttling.permit_server import PermitServer

soft, hard, requests, folder = *map(int, sys.argv[1:4]), Path(sys.argv[4])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
allow_open_files(requests)

async def hold_all(server):
    async def hold(held=[]):
        async with PermitClient(server.address) as client:
            held.append(await client.acquire())
            while len(held) < requests:
                await asyncio.sleep(0.02)
    await asyncio.gather(*(hold() for _ in range(requests)))

with PermitServer(["http://a"], Limits(requests, min_in_flight=requests), semaphore_folder=folder) as server:
    asyncio.run(asyncio.wait_for(hold_all(server), 60))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def run_with(folder: Path, *, soft: int, hard: int, requests: int) -> subprocess.CompletedProcess[str]:
    arguments = [str(soft), str(hard), str(requests), str(folder)]
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=90, check=False
    )


def test_all_permits_are_out_where_the_system_allows_fewer_files_at_first(tmp_path: Path) -> None:
    # Driver and askers are one process here: three files a request.
    done = run_with(tmp_path, soft=200, hard=2000, requests=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 200


def test_a_limit_that_is_enough_stays(tmp_path: Path) -> None:
    assert run_with(tmp_path, soft=1024, hard=2000, requests=4).stdout == "1024\n"


def test_a_hard_limit_is_told_in_one_line_before_anything_is_asked(tmp_path: Path) -> None:
    said = run_with(tmp_path, soft=200, hard=300, requests=120).stderr.splitlines()[-1]
    assert "SettingsError: 120 requests in flight need 496 open files, but the limit is 300" in said
    assert "PREANNOTATION_MAX_IN_FLIGHT" in said
