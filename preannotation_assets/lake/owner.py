"""Which process holds a dataset: what a lease says of its holder, and whether that one can still live."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from preannotation_assets.lake.objects import ObjectStore
from preannotation_assets.lake.tables import read_json

__all__ = ["holding_run", "is_gone", "is_held_by_another", "this_process"]

# A lease is renewed several times a minute; the rest is room for clocks that differ.
_SILENCE: Final = timedelta(hours=1)


def this_process() -> dict[str, object]:
    """What tells this process from every other one, on this machine or elsewhere."""
    return {"machine": _machine(), "pid": os.getpid(), "started_at": _started_at(os.getpid())}


def is_gone(holder: Mapping[str, object]) -> bool:
    """Whether a holder was a process of this machine that has ended; False where that cannot be known."""
    if not _machine() or holder.get("machine") != _machine():
        return False
    pid = holder.get("pid")
    return not isinstance(pid, int) or _started_at(pid) != holder.get("started_at")


def is_held_by_another(store: ObjectStore, lease_key: str) -> bool:
    """Whether another process holds the lease and has renewed it within the last hour.

    Raises:
        StorageError: the lake cannot be read.
    """
    return holding_run(store, lease_key) is not None


def holding_run(store: ObjectStore, lease_key: str) -> str | None:
    """The run in another process that holds the lease and has renewed it within the last hour.

    Raises:
        StorageError: the lake cannot be read.
    """
    holder = read_json(store, lease_key) or {}
    if not holder.get("held") or is_gone(holder) or holder.items() >= this_process().items():
        return None
    oldest = datetime.now(UTC) - _SILENCE
    is_alive = any(entry.modified_at > oldest for entry in store.list(lease_key) if entry.key == lease_key)
    return str(holder.get("run_id")) if is_alive else None


def _machine() -> str:
    """Tells this machine since its last start from all others, and one container from another."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    namespace = Path("/proc/self/ns/pid")
    if not boot.is_file() or not namespace.exists():
        return ""
    return f"{platform.node()} {boot.read_text('utf-8').strip()} {namespace.readlink()}"


def _started_at(pid: int) -> str | None:
    """When a process started, in the kernel's ticks; None where there is none, or no such list of them."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        return None
    # The command may hold spaces and brackets; what follows its last bracket does not.
    return stat.rpartition(")")[2].split()[19]
