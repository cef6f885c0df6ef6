"""What memory and processor time a process and those it has started took, by what they are (Linux)."""

import contextlib
import os
import re
import subprocess
import threading
from collections import Counter
from pathlib import Path
from typing import Final

from preannotation_assets_tests.shared.process_table import descendants

__all__ = ["ProcessCosts"]

_LOOK_SECONDS: Final = 0.5
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_RESIDENT: Final = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


class ProcessCosts:
    """Looks at a process and those below it until it has ended; ``most`` is in bytes, by kind.

    ``driver`` is the process itself, ``java`` Spark's JVM, ``worker`` the largest of Spark's Python workers.
    Each is the kernel's own high-water mark of resident memory (VmHWM), as of the last look. ``by_stage`` has
    the driver's of each stage, whose mark begins anew with ``stage_begins``. Processor time is as of the last
    look too: nobody waits for Spark's Python workers, so the kernel adds theirs to no other process.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.most: Counter[str] = Counter()
        self.by_stage: Counter[str] = Counter()
        self._spent: dict[int, float] = {}
        self._stage = "start"
        self._process = process
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    @property
    def cpu_seconds(self) -> float:
        """User and system time of all of them."""
        return sum(self._spent.values())

    def end(self) -> None:
        """Waits until the process has ended."""
        self._thread.join()

    def stage_begins(self, stage: str) -> None:
        """From here on the driver's memory counts as that of this stage; lets its mark begin anew."""
        if stage == self._stage:
            return
        self._see("driver", self._process.pid)
        self._stage = stage
        with contextlib.suppress(OSError):
            # Of proc(5): 5 resets the peak of the resident set.
            (Path("/proc") / str(self._process.pid) / "clear_refs").write_text("5")

    def _look(self) -> None:
        while self._process.poll() is None:
            self._see("driver", self._process.pid)
            for number in descendants(self._process.pid):
                self._see(None, number)
            try:
                self._process.wait(_LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                continue

    def _see(self, kind: str | None, number: int) -> None:
        place = Path("/proc") / str(number)
        try:
            status, command = (place / "status").read_text(), (place / "cmdline").read_text()
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return
        # Fields 14 and 15 of proc(5), less the two that end with the bracket.
        self._spent[number] = (int(fields[11]) + int(fields[12])) / _TICKS
        kind = kind or ("worker" if "pyspark" in command and "java" not in command else "java")
        found = _RESIDENT.search(status)
        if found:
            held = int(found[1]) * 1024
            self.most[kind] = max(self.most[kind], held)
            if kind == "driver":
                self.by_stage[self._stage] = max(self.by_stage[self._stage], held)
