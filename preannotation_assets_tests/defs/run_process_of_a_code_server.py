"""Starts a process as a code server starts a run, and waits for it; prints the id of that process."""

import multiprocessing
import sys
import time
from pathlib import Path

from preannotation_assets.defs.run_process import end_with_code_server


def run(folder: str) -> None:
    """Stands for a run; says that it was interrupted."""
    end_with_code_server()
    try:
        sys.stdout.write(f"{multiprocessing.current_process().pid}\n")
        sys.stdout.flush()
        while True:
            time.sleep(60)
    except KeyboardInterrupt:
        Path(folder, "interrupted").touch()


if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=run, args=[sys.argv[1]])
    process.start()
    process.join()
