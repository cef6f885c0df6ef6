"""A run ends with the code server that started it: nobody could end it from the web interface any more."""

import subprocess
import sys
from pathlib import Path

import pytest
from shared.polling import wait_for

PROGRAM = Path(__file__).with_name("run_process_of_a_code_server.py")


@pytest.mark.server
def test_a_run_is_interrupted_when_its_code_server_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, str(PROGRAM), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as code_server:
        assert code_server.stdout is not None
        assert int(code_server.stdout.readline())
        code_server.kill()
        wait_for((tmp_path / "interrupted").exists, "the end of the run")
