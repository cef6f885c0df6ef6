"""A process that holds a slot until it is killed: ``python semaphore_holder.py FOLDER ENDPOINT SLOTS``."""

import signal
import sys
from pathlib import Path

from preannotation_assets.throttling.host_semaphore import HostSemaphore

if __name__ == "__main__":
    slots = HostSemaphore(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    sys.stdout.write(f"{slots.take()}\n")
    sys.stdout.flush()
    signal.pause()
