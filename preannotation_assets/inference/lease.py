"""One run at a time asks about a dataset: a lease in the lake that is renewed while its run lives.

No clock of another machine is trusted: whoever finds a lease that does not change for its lifetime takes
it. A lease of a process of this machine that is gone is taken at once.
"""

import json
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from preannotation_assets.errors import BatchError, ConflictError, StorageError
from preannotation_assets.lake import ObjectStore, read_json

__all__ = ["DatasetLease"]

_LIFETIME_SECONDS: Final = 60.0
_RENEWALS: Final = 4
_POLL_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 30.0


class DatasetLease:
    """Held for the time of a ``with`` block.

    ``key`` is the object that stands for the lease, ``on_lost`` is called from a thread with a message
    when another run has taken it, or it could not be renewed for its lifetime.
    """

    def __init__(
        self,
        store: ObjectStore,
        key: str,
        run_id: str,
        on_lost: Callable[[str], None],
        lifetime_seconds: float = _LIFETIME_SECONDS,
    ) -> None:
        self._store = store
        self._key = key
        self._run_id = run_id
        self._on_lost = on_lost
        self._lifetime = lifetime_seconds
        self._renewals = 0
        self._etag = ""
        self._released = threading.Event()
        self._renewer = threading.Thread(target=self._renew_regularly, name="dataset-lease", daemon=True)

    def __enter__(self) -> Self:
        """Takes the lease; waits for one lifetime at most.

        Raises:
            BatchError: another run holds it and is alive.
            StorageError: the lake cannot be read or written.
        """
        stat = self._store.stat(self._key)
        expected = stat.etag if stat else None
        if expected is not None and not self._is_abandoned():
            self._wait_until_it_is_stale(expected)
        try:
            self._etag = self._write(expected, held=True)
        except ConflictError:
            raise self._refusal() from None
        self._renewer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._released.set()
        self._renewer.join(_STOP_SECONDS)
        try:
            self._write(self._etag, held=False)
        except StorageError:
            # Somebody else's by now, or out of reach: it ends by itself.
            return

    def _is_abandoned(self) -> bool:
        """Whether the lease was given back, or is of a process of this machine that is gone."""
        holder = read_json(self._store, self._key) or {}
        if not holder.get("held"):
            return True
        if not _machine() or holder.get("machine") != _machine():
            return False
        pid = holder.get("pid")
        return not isinstance(pid, int) or _started_at(pid) != holder.get("started_at")

    def _wait_until_it_is_stale(self, expected: str) -> None:
        deadline = time.monotonic() + self._lifetime
        while time.monotonic() < deadline:
            time.sleep(min(_POLL_SECONDS, self._lifetime / 10))
            stat = self._store.stat(self._key)
            if stat is None or stat.etag != expected:
                raise self._refusal()

    def _refusal(self) -> BatchError:
        holder = read_json(self._store, self._key) or {}
        return BatchError(
            f"run {str(holder.get('run_id'))[:40]} is asking about this dataset", "wait for it, or end it"
        )

    def _renew_regularly(self) -> None:
        renewed = time.monotonic()
        while not self._released.wait(self._lifetime / _RENEWALS):
            try:
                self._etag = self._write(self._etag, held=True)
            except ConflictError:
                self._on_lost("another run has taken over this dataset")
                return
            except StorageError:
                if time.monotonic() - renewed > self._lifetime * (1 - 1 / _RENEWALS):
                    self._on_lost("the lake was out of reach for as long as this run may hold the dataset")
                    return
            else:
                renewed = time.monotonic()

    def _write(self, expected: str | None, *, held: bool) -> str:
        self._renewals += 1
        content = {"run_id": self._run_id, "held": held, "renewals": self._renewals, **_this_process()}
        with tempfile.TemporaryDirectory(prefix="preannotation-") as folder:
            path = Path(folder) / "lease.json"
            path.write_text(json.dumps(content, sort_keys=True), "utf-8")
            return self._store.upload_if(self._key, path, expected)


def _this_process() -> dict[str, object]:
    return {"machine": _machine(), "pid": os.getpid(), "started_at": _started_at(os.getpid())}


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
