"""One run at a time asks about a dataset: a lease in the lake that is renewed while its run lives.

No clock of another machine is trusted: whoever finds a lease that does not change for its lifetime takes
it. A lease of a process of this machine that is gone is taken at once.
"""

import json
import threading
import time
from collections.abc import Callable
from typing import Final, Self

from preannotation_assets.errors import BatchError, ConflictError, ObjectNotFoundError, StorageError
from preannotation_assets.lake import ObjectStore, RequestLimits, read_json
from preannotation_assets.lake.owner import is_gone, this_process
from preannotation_assets.temporary_folders import temporary_file

__all__ = ["LEASE_LIMITS", "DatasetLease"]

LEASE_LIMITS: Final = RequestLimits(connect_timeout=5.0, read_timeout=10.0, max_attempts=3)
"""Those of the store of a lease: a network that was away for 30 s is back in time for the next renewal.

What TCP sends into a network that is away for so long may arrive 20 s after it is back; another try is there
at once.
"""

_FILE: Final = "lease.json"
_LIFETIME_SECONDS: Final = 60.0
_RENEWALS: Final = 4
_TRIES_A_RENEWAL: Final = 5
# Of a lifetime, from the last renewal on; the rest is for clocks that go unequally fast.
_SHARE_HELD: Final = 0.9
_POLL_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 30.0


class DatasetLease:
    """Held for the time of a ``with`` block.

    ``key`` is the object that stands for the lease, in a store that was opened with ``LEASE_LIMITS``.
    ``on_lost`` is called from a thread, once, with a message when another run has taken it, or it was not
    renewed for nine tenths of its lifetime, be it that the store does not answer.
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
        # When the last renewal that was done was sent.
        self._renewed = 0.0
        self._ended = threading.Event()
        self._losing = threading.Lock()
        self._renewer = threading.Thread(target=self._renew_regularly, name="dataset-lease", daemon=True)
        self._watch = threading.Thread(target=self._watch_the_time, name="lease-watch", daemon=True)

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
        self._renewed = time.monotonic()
        try:
            self._etag = self._write(expected, held=True)
        except ConflictError:
            raise self._refusal() from None
        self._renewer.start()
        self._watch.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._renewer.join(_STOP_SECONDS)
        try:
            self._replace(held=False)
        except StorageError:
            # Somebody else's by now, or out of reach: it ends by itself.
            return

    def _is_abandoned(self) -> bool:
        """Whether the lease was given back, or is of a process of this machine that is gone."""
        holder = read_json(self._store, self._key) or {}
        if not holder.get("held"):
            return True
        return is_gone(holder)

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
        interval = self._lifetime / _RENEWALS
        pause = interval
        while not self._ended.wait(pause):
            sent = time.monotonic()
            try:
                self._etag = self._replace(held=True)
            except ConflictError:
                self._lose("another run has taken over this dataset")
            except StorageError:
                pause = interval / _TRIES_A_RENEWAL
            else:
                self._renewed = sent
                pause = interval

    def _watch_the_time(self) -> None:
        """Beside the renewals, of which one may wait for a store that does not answer."""
        while not self._ended.wait(self._seconds_held()):
            if not self._seconds_held():
                self._lose("the lake was out of reach for as long as this run may hold the dataset")

    def _seconds_held(self) -> float:
        """For how long nobody can have taken the lease."""
        return max(0.0, self._renewed + self._lifetime * _SHARE_HELD - time.monotonic())

    def _lose(self, message: str) -> None:
        with self._losing:
            if self._ended.is_set():
                return
            self._ended.set()
        self._on_lost(message)

    def _replace(self, *, held: bool) -> str:
        """Writes over this run's own lease, also over a write of it that seemed to fail but was done late.

        Raises:
            ConflictError: the lease is another run's.
            StorageError: the lake is out of reach.
        """
        try:
            return self._write(self._etag, held=held)
        except ConflictError:
            own = self._own_etag()
            if own is None:
                raise
            return self._write(own, held=held)

    def _own_etag(self) -> str | None:
        """The etag of the lease, if it is of this run in this process."""
        with temporary_file(_FILE) as path:
            try:
                stat = self._store.download(self._key, path)
                holder = json.loads(path.read_text("utf-8"))
            except (ObjectNotFoundError, ValueError, RecursionError):
                return None
        is_own = isinstance(holder, dict) and holder.items() >= self._holder().items()
        return stat.etag if is_own else None

    def _holder(self) -> dict[str, object]:
        return {"run_id": self._run_id, "held": True, **this_process()}

    def _write(self, expected: str | None, *, held: bool) -> str:
        self._renewals += 1
        content = self._holder() | {"held": held, "renewals": self._renewals}
        with temporary_file(_FILE) as path:
            path.write_text(json.dumps(content, sort_keys=True), "utf-8")
            return self._store.upload_if(self._key, path, expected)
