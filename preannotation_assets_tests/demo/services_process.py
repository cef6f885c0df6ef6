"""Stands for ``preannotate dev`` with small processes in the place of Dagster's: they start fast.

``python services_process.py FOLDER`` runs them. The first of them starts one more, as a code server starts a
run; ``FOLDER/<name>`` has each one's process id as soon as it is there. ``FOLDER/run.interrupted`` comes when
the run was interrupted and had the time to say so, for which it waits while there is ``FOLDER/wait``.
"""

import os
import sys
from pathlib import Path

from preannotation_assets.demo.services import Commands, run_services
from preannotation_assets.instance import interface_lock

RUN = """
import os, pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def note(name):
    draft = folder / f"{name}.draft"
    draft.write_text(str(os.getpid()))
    draft.rename(folder / name)
try:
    note("run")
    while True:
        time.sleep(60)
except KeyboardInterrupt:
    while (folder / "wait").exists():
        time.sleep(0.05)
    note("run.interrupted")
"""
CODE_SERVER = """
import os, pathlib, socket, subprocess, sys
folder = pathlib.Path(sys.argv[1])
run = subprocess.Popen([sys.executable, "-c", sys.argv[2], str(folder)])
listener = socket.socket(socket.AF_UNIX)
listener.bind(str(folder / "code.sock"))
listener.listen()
try:
    run.wait()
    while True:
        listener.accept()
except KeyboardInterrupt:
    run.wait()
"""


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place / "dev").write_text(str(os.getpid()))
    other = RUN.replace('"run', '"web_server')
    commands = Commands(
        ["-c", CODE_SERVER, str(place), RUN], place / "code.sock", [["-c", other, str(place)]]
    )
    with interface_lock(place) as lock:
        sys.exit(run_services(commands, lock, os.environ))
