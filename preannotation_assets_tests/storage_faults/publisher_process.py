"""Publishers that are killed: processes forked from one that has imported everything once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from s3_servers.rados_gateway import TEST_ENVIRONMENT

__all__ = ["PublisherProcess", "publisher_process"]

_PROGRAM = Path(__file__).with_name("published_batches.py")


class PublisherProcess:
    """One at a time; see published_batches.py for the commands."""

    def __init__(self, program: "subprocess.Popen[str]") -> None:
        self._program = program
        self._pid: int | None = None

    def start(self, root: str, endpoint: str, command: str) -> None:
        if self._pid is not None:
            self.kill()
        assert self._program.stdin is not None
        self._program.stdin.write(f"{root}\t{endpoint}\t{command}\n")
        self._program.stdin.flush()
        self._pid = int(self.line())

    def line(self) -> str:
        """Wait for the next line it writes."""
        assert self._program.stdout is not None
        return self._program.stdout.readline().rstrip("\n")

    def kill(self) -> list[str]:
        """End it at once and return what it wrote."""
        assert self._pid is not None
        os.kill(self._pid, signal.SIGKILL)
        self._pid = None
        lines = []
        while (line := self.line()) != "ended":
            lines.append(line)
        return lines

    def close(self) -> None:
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
        self._program.kill()
        self._program.communicate(timeout=10)


@contextmanager
def publisher_process() -> Iterator[PublisherProcess]:
    """Start the process that the publishers are forked from."""
    program = subprocess.Popen(
        [sys.executable, str(_PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | TEST_ENVIRONMENT,
    )
    process = PublisherProcess(program)
    try:
        yield process
    finally:
        process.close()
