"""A run ends with the code server that started it: nobody could end it from the web interface any more."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("run_process_of_a_code_server.py")
SECONDS = 60.0


@pytest.mark.server
def test_a_run_is_interrupted_when_its_code_server_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, str(PROGRAM), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as code_server:
        assert code_server.stdout is not None
        assert int(code_server.stdout.readline())
        code_server.kill()
        deadline = time.monotonic() + SECONDS
        while not (tmp_path / "interrupted").exists():
            assert time.monotonic() < deadline, "the run goes on"
            time.sleep(0.05)
