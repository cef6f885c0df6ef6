"""The cap over all runs on one machine: a locked file for every request that may be in flight.

The kernel frees the locks of a process that dies (flock), so a run that is killed blocks nobody. All
runs that use the same folder share the cap. What a run could not get it polls for.
"""

import contextlib
import errno
import fcntl
import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Final
from uuid import uuid4

__all__ = ["POLL_SECONDS", "HostSemaphore", "semaphore_folder"]

POLL_SECONDS: Final = 0.05
# A run that was killed left requests in flight; this long after, their servers have noticed.
_LINGER_SECONDS: Final = 2.0
# How long a run leaves a slot to another one that has less than its share.
_COURTESY_SECONDS: Final = 3 * POLL_SECONDS
_HELD: Final = b"held"
_NO_DESCRIPTOR: Final = (errno.EMFILE, errno.ENFILE)
# Two changes of a folder so close may have one time.
_COARSEST_CLOCK_NANOSECONDS: Final = 2_000_000_000


def semaphore_folder(storage: Path) -> Path:
    """Where the runs of a Dagster instance share the cap; ``storage`` is the instance's storage folder."""
    return storage / "requests_in_flight"


class HostSemaphore:
    """The slots of one endpoint, as one run sees them. Not for several threads.

    Runs that want more than they have say so with a locked file of their own, and a run that has its
    share takes no more as long as another is wanting.
    """

    def __init__(
        self, folder: Path, endpoint: str, slots: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = folder / hashlib.sha256(endpoint.encode()).hexdigest()[:16]
        self._folder.mkdir(parents=True, exist_ok=True)
        self._slots = slots
        self._clock = clock
        # Descriptors by number, and the number given back last: with hundreds held that one is free.
        self._held: dict[int, int] = {}
        self._given_back = 0
        self._lingering: dict[int, tuple[int, float]] = {}
        self._wish_path = self._folder / f"{uuid4().hex}.wanting"
        self._wish: int | None = None
        self._not_before = 0.0
        self._listed: list[Path] = []
        self._listed_change = 0

    def take(self) -> bool:
        """Takes one slot more; False where all are held or it is another run's turn."""
        if self._is_anothers_turn():
            return False
        taken = self._take_lingering() or self._take_free()
        if taken is not None:
            number, descriptor = taken
            self._held[number] = descriptor
            self.want(False)
        return taken is not None

    def give_back(self) -> None:
        """Gives one slot back."""
        self._given_back, descriptor = self._held.popitem()
        _release(descriptor)
        if self._is_more_than_share(len(self._held) + 1):
            self._not_before = self._clock() + _COURTESY_SECONDS

    def has_more_than_share(self) -> bool:
        """Whether other runs want slots of which this one has more than its share."""
        return self._is_more_than_share(len(self._held))

    def want(self, wanting: bool) -> None:
        """Says whether this run has work for a slot it cannot get."""
        if wanting and self._wish is None:
            self._wish = _open(self._wish_path, os.O_CREAT)
            if self._wish is not None:
                fcntl.flock(self._wish, fcntl.LOCK_EX)
        elif not wanting and self._wish is not None:
            self._wish_path.unlink(missing_ok=True)
            os.close(self._wish)
            self._wish = None

    def close(self) -> None:
        """Gives everything back."""
        self.want(False)
        while self._held:
            _release(self._held.popitem()[1])
        while self._lingering:
            # Left as they were found: somebody else's requests may still be running.
            os.close(self._lingering.popitem()[1][0])

    def _is_anothers_turn(self) -> bool:
        if self._clock() < self._not_before and self._is_more_than_share(len(self._held) + 1):
            return True
        others = self._others_wanting()
        return bool(others) and len(self._held) >= math.ceil(self._slots / (1 + others))

    def _is_more_than_share(self, slots: int) -> bool:
        others = self._others_wanting()
        return bool(others) and slots > self._slots / (1 + others)

    def _others_wanting(self) -> int:
        return sum(_is_locked(path) for path in self._wishes_of_others() if path != self._wish_path)

    def _wishes_of_others(self) -> list[Path]:
        """The files of wishes. The folder is listed when it has changed: with 512 slots that takes 0.2 ms."""
        changed = self._folder.stat().st_mtime_ns
        if changed != self._listed_change or time.time_ns() - changed < _COARSEST_CLOCK_NANOSECONDS:
            self._listed_change = changed
            self._listed = list(self._folder.glob("*.wanting"))
        return self._listed

    def _take_lingering(self) -> tuple[int, int] | None:
        for number, (descriptor, until) in self._lingering.items():
            if self._clock() >= until:
                del self._lingering[number]
                return number, descriptor
        return None

    def _take_free(self) -> tuple[int, int] | None:
        for number in chain((self._given_back,), range(self._slots)):
            if number in self._held or number in self._lingering:
                continue
            descriptor = _lock(self._folder / f"{number}.slot")
            if descriptor is None:
                continue
            if os.pread(descriptor, len(_HELD), 0):
                self._lingering[number] = (descriptor, self._clock() + _LINGER_SECONDS)
                continue
            os.pwrite(descriptor, _HELD, 0)
            return number, descriptor
        return None


def _open(path: Path, flags: int = 0) -> int | None:
    """The descriptor of the file; None where none is free: whoever asks will ask again."""
    try:
        return os.open(path, flags | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in _NO_DESCRIPTOR:
            return None
        raise


def _lock(path: Path) -> int | None:
    """The descriptor of the file, locked; None where another has the lock, or none is free."""
    descriptor = _open(path, os.O_CREAT)
    if descriptor is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _release(descriptor: int) -> None:
    # First clean, then free: a slot that says it is held while nobody locks it is one of a killed run.
    os.ftruncate(descriptor, 0)
    os.close(descriptor)


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    try:
        descriptor = _open(path)
    except FileNotFoundError:
        descriptor = None
    if descriptor is None:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_locked(path: Path) -> bool:
    """Whether somebody holds the lock; removes the file of a run that was killed."""
    with _opened(path) as descriptor:
        if descriptor is None:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        return False
