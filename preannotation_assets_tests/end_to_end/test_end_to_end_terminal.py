"""``preannotate run`` on a terminal: a bar while it works, the log and the account when it has ended."""

import os
import pty
import re
import subprocess
from pathlib import Path

from shared.terminal_screen import Terminal

from end_to_end.user_place import DATASET, MARKER, REPORT, make_place
from preannotation_assets.simulator import RunningSimulator, SimulatorSettings


def on_terminal(command: list[str], environment: dict[str, str], folder: Path) -> tuple[int, str]:
    """The exit status of a command, and what it wrote to its terminal."""
    ours, theirs = pty.openpty()
    written = b""
    with subprocess.Popen(
        command, env=environment, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        while True:
            try:
                piece = os.read(ours, 65_536)
            except OSError:  # Linux's word for the end of a terminal.
                break
            written += piece
    os.close(ours)
    return process.returncode, written.decode().replace("\r\n", "\n")


def test_a_terminal_shows_a_bar_and_keeps_whole_lines(tmp_path: Path) -> None:
    pages = {f"page {index}": f"Page {index}.\n{REPORT}" for index in range(12)}
    with RunningSimulator(SimulatorSettings(slots=2, speed=8)) as simulator:
        place = make_place(tmp_path / "user", pages, simulator.url)
        place.environment["PREANNOTATION_MAX_IN_FLIGHT"] = "2"
        command, environment = place.command("run", DATASET)
        status, written = on_terminal(
            command, environment | {"TERM": "xterm-256color", "COLUMNS": "100"}, place.folder
        )
    assert status == 0, written
    counts = re.findall(r"(\d+) of (\d+) requests", written)
    assert counts
    assert {total for _, total in counts} == {"12"}
    assert [int(done) for done, _ in counts] == sorted(int(done) for done, _ in counts)
    log, _, account = "\n".join(Terminal(written).lines()).strip().partition("\n\n")
    stages = [re.sub(r"^\d\d:\d\d:\d\d (\w+): .*$", r"\1", line) for line in log.splitlines()]
    assert [stage for stage in stages if not stage.startswith("preannotate: check ")] == [
        "pages",
        "chunks",
        "raw_model_outputs",
        "suggestions",
    ]
    assert account.startswith(f"dataset    {DATASET}\n")
    assert MARKER not in written
